"""What a door refuses by itself, before what stands behind it sees anything: who is told of it.

A request that was read is a call, and its refusal that of a call. What cannot be read as one, or names what is not its
sender's (a session, a question, an event), never becomes a call: all that is known is who said it, and what was wrong.
"""

from typing import Protocol

from ..protocol.call import Call, Principal
from ..protocol.outcome import Refused

__all__ = ["NOT_ASKED", "STILL_OPEN", "UNTOLD", "Refusals"]

NOT_ASKED = "client: an answer to a question that nobody has asked"
STILL_OPEN = "client: a request with this id is still open"


class Refusals(Protocol):
    def refused(self, call: Call, refusal: Refused) -> None:
        """A call that got no further than its door."""
        ...

    def turned(self, door: str, principal: Principal, code: int, reason: str) -> None:
        """What is no call. `code`: of the JSON-RPC error, or else the status over HTTP."""
        ...


class _Untold:
    def refused(self, call: Call, refusal: Refused) -> None:
        return

    def turned(self, door: str, principal: Principal, code: int, reason: str) -> None:
        return


UNTOLD: Refusals = _Untold()
