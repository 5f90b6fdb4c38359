"""How a program answers what servers ask in mid-call: its callbacks, and the capabilities they amount to.

A client declares exactly what it was given a callback for. It opens no page and grants nothing by itself.
Spec: specification/2026-07-28/client/elicitation.mdx, sampling.mdx, roots.mdx.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..protocol.call import JSON
from ..protocol.offers import question_fault
from ..wire.codes import INVALID_PARAMS, METHOD_NOT_FOUND
from ..wire.json import is_object
from .respondent import NOBODY, NoReply, Respondent

__all__ = ["Elicit", "ElicitUrl", "Refusal", "Sample", "responding"]

Refusal = Literal["decline", "cancel"]
"""`decline`: the person says no. `cancel`: it was put away without an answer."""
Elicit = Callable[[str, JSON], Awaitable[JSON | Refusal] | JSON | Refusal]
"""Asked to fill in a form: message, schema → what was filled in."""
ElicitUrl = Callable[[str, str], Awaitable[Literal["accept"] | Refusal] | Literal["accept"] | Refusal]
"""Asked to have a page visited: message, URL. Shows the whole URL, and opens it only when the person says so."""
Sample = Callable[[JSON], Awaitable[JSON] | JSON]
"""Asked for a message of a model: the params of `sampling/createMessage` → its result."""


class _Callbacks(msgspec.Struct, frozen=True):
    capabilities: JSON
    elicit: Elicit | None
    elicit_url: ElicitUrl | None
    sample: Sample | None
    roots: Sequence[JSON]

    async def reply(self, method: str, params: JSON) -> JSON:
        fault = question_fault({"method": method, "params": params}, self.capabilities)
        if fault is not None:
            raise NoReply(METHOD_NOT_FOUND, f"client: {fault}")
        if method == "roots/list":
            return {"roots": list(self.roots)}
        if method == "sampling/createMessage":
            assert self.sample is not None
            return await _waited(self.sample(params))
        return await (self._visit(params) if params.get("mode") == "url" else self._elicit(params))

    async def _elicit(self, params: JSON) -> JSON:
        assert self.elicit is not None
        schema: object = params.get("requestedSchema")
        if not is_object(schema):
            raise NoReply(INVALID_PARAMS, "server: a form needs an object requestedSchema")
        said = await _waited(self.elicit(str(params.get("message", "")), schema))
        return {"action": said} if isinstance(said, str) else {"action": "accept", "content": said}

    async def _visit(self, params: JSON) -> JSON:
        assert self.elicit_url is not None
        url: object = params.get("url")
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            # Anything else could start a program.
            raise NoReply(INVALID_PARAMS, "server: a page to visit is an http or https URL")
        return {"action": await _waited(self.elicit_url(str(params.get("message", "")), url))}


def responding(
    *,
    elicit: Elicit | None = None,
    elicit_url: ElicitUrl | None = None,
    sample: Sample | None = None,
    samples_with_tools: bool = False,
    roots: Sequence[str | Path | Mapping[str, Any]] | None = None,
) -> Respondent:
    """Who answers with these callbacks. A root is a folder, a `file://` URI, or the protocol's own object."""
    capabilities: dict[str, Any] = {}
    if elicit is not None or elicit_url is not None:
        asked = {"form": elicit, "url": elicit_url}
        capabilities["elicitation"] = {mode: {} for mode, callback in asked.items() if callback is not None}
    if sample is not None:
        capabilities["sampling"] = {"tools": {}} if samples_with_tools else {}
    if roots is not None:
        capabilities["roots"] = {}
    if not capabilities:
        return NOBODY
    callbacks = _Callbacks(capabilities, elicit, elicit_url, sample, [_root(root) for root in roots or ()])
    return Respondent(capabilities, callbacks.reply, capabilities)


def _root(root: str | Path | Mapping[str, Any]) -> JSON:
    if isinstance(root, Mapping):
        return root
    if isinstance(root, str) and root.startswith("file://"):
        return {"uri": root}
    return {"uri": Path(root).absolute().as_uri()}


async def _waited(said: Any) -> Any:
    return await said if isawaitable(said) else said
