"""What a credential was issued for: calls that only read need one scope, all others another.

What reads is what the operator has marked so; a server's own hints are not asked. Whoever may write may read, too. Whoever
lacks a scope is told all that the call needs, in one challenge, so that a client can ask for it and call again.
Spec: specification/2026-07-28/basic/authorization/index.mdx (scope challenge handling, scope hierarchies).
"""

from collections.abc import Callable, Sequence

from ..flow.chain import Gate, Stage
from ..protocol.call import Call
from ..protocol.methods import Kind
from ..protocol.outcome import Outcome, Refused
from ..registry.marks import Marks
from ..wire.codes import POLICY_DENIED

__all__ = ["make"]

_OF_TOOLS: dict[str, Kind] = dict.fromkeys(("tools/call", "tasks/get", "tasks/update", "tasks/cancel"), "tools")
"""Everything else reads, lists or listens, whatever it is of."""


def make(read: Sequence[str], write: Sequence[str], marks: Marks, challenge: Callable[[Sequence[str]], str]) -> Gate:
    """`challenge`: what `WWW-Authenticate` says for the scopes that are needed."""
    reading, writing = frozenset(read), frozenset(write)

    def check(call: Call) -> Call | Outcome:
        has = call.principal.scopes
        kind = _OF_TOOLS.get(call.method)
        reads = kind is None or marks.reads(kind, call.upstream or "", call.name or "")
        if writing <= has or (reads and reading <= has):
            return call
        needed = tuple(read if reads else write)
        reason = f"policy: the token is not good for this: it needs the scope {' '.join(needed)}"
        return Refused(POLICY_DENIED, reason, data={"scopes": needed, "call": call.id}, challenge=challenge(needed))

    return Gate("scopes", Stage.POLICY, check)
