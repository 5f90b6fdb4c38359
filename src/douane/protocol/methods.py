"""The methods of MCP as one table: what each is about, where it goes, who may answer with a question.

Spec: specification/2026-07-28 and 2025-11-25, schema.ts; modelcontextprotocol/ext-tasks specification/draft/tasks.md.
"""

from typing import Literal

import msgspec

from ..wire.json import is_object
from .call import JSON
from .versions import Era

__all__ = ["KINDS", "METHODS", "Kind", "Method", "target_of"]

Kind = Literal["tools", "prompts", "resources", "resourceTemplates"]
KINDS: tuple[Kind, ...] = ("tools", "prompts", "resources", "resourceTemplates")
"""What a server lists, by the member of the result that holds the list."""

_BOTH = (Era.HANDSHAKE, Era.STATELESS)
_OLD = (Era.HANDSHAKE,)
_NEW = (Era.STATELESS,)


class Method(msgspec.Struct, frozen=True):
    eras: tuple[Era, ...] = _BOTH
    target_key: str | None = None
    """The member of `params` that names what the call is about."""
    lists: Kind | None = None
    """The member of the result that holds the list."""
    cacheable: bool = False
    """Its result carries `ttlMs` and `cacheScope` (2026-07-28/server/utilities/caching.mdx)."""
    may_ask: bool = False
    """It may be answered by `input_required` (2026-07-28/basic/patterns/mrtr.mdx)."""
    params: frozenset[str] = frozenset()
    """The members the specification defines: the same names in another letter case are refused."""
    older: frozenset[str] = frozenset()
    """Members that mean something in the handshake era alone; what the other is sent of them is dropped."""


METHODS: dict[str, Method] = {
    "server/discover": Method(_NEW, cacheable=True),
    "initialize": Method(_OLD),
    "ping": Method(_OLD),
    "logging/setLevel": Method(_OLD),
    "tools/list": Method(lists="tools", cacheable=True, params=frozenset({"cursor"})),
    "tools/call": Method(
        target_key="name", may_ask=True, params=frozenset({"name", "arguments"}), older=frozenset({"task"})
    ),
    "prompts/list": Method(lists="prompts", cacheable=True, params=frozenset({"cursor"})),
    "prompts/get": Method(target_key="name", may_ask=True, params=frozenset({"name", "arguments"})),
    "resources/list": Method(lists="resources", cacheable=True, params=frozenset({"cursor"})),
    "resources/templates/list": Method(lists="resourceTemplates", cacheable=True, params=frozenset({"cursor"})),
    "resources/read": Method(target_key="uri", may_ask=True, cacheable=True, params=frozenset({"uri"})),
    "resources/subscribe": Method(_OLD, target_key="uri", params=frozenset({"uri"})),
    "resources/unsubscribe": Method(_OLD, target_key="uri", params=frozenset({"uri"})),
    "subscriptions/listen": Method(_NEW, params=frozenset({"notifications"})),
    "completion/complete": Method(params=frozenset({"ref", "argument", "context"})),
    "tasks/get": Method(target_key="taskId", params=frozenset({"taskId"})),
    "tasks/update": Method(_NEW, target_key="taskId", params=frozenset({"taskId"})),
    "tasks/cancel": Method(target_key="taskId", params=frozenset({"taskId"})),
    "tasks/result": Method(_OLD, target_key="taskId", params=frozenset({"taskId"})),
    "tasks/list": Method(_OLD, params=frozenset({"cursor"})),
}
"""Requests a client may send to a server, and that are served here. Anything else is method not found."""


def target_of(method: str, params: JSON) -> str | None:
    """What a call is about; for a completion, the prompt or template it completes."""
    found: object = None
    if method == "completion/complete":
        ref: object = params.get("ref")
        if is_object(ref):
            # By its type and nothing else: what is judged must be what the server completes.
            found = {"ref/prompt": ref.get("name"), "ref/resource": ref.get("uri")}.get(str(ref.get("type")))
    else:
        entry = METHODS.get(method)
        found = params.get(entry.target_key) if entry is not None and entry.target_key is not None else None
    return found if isinstance(found, str) else None
