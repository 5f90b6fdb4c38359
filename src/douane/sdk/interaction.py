"""What a `requestState` of ours holds: the thread of one interaction, sealed between its rounds.

It is good for one caller, one call with its arguments, one door and a while; anything else brings the interaction to an
end and never starts the call anew. Spec: specification/2026-07-28/basic/patterns/mrtr.mdx (requestState).
"""

import hashlib
import logging
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from ..auth.seal import Broken, Seal
from ..protocol.call import Call
from ..protocol.outcome import Failed, InputRequired, Outcome, Refused
from ..protocol.questions import said_missing, undeclared
from ..wire.codes import INTERNAL_ERROR, INVALID_PARAMS, MISSING_CAPABILITY

__all__ = ["Interactions", "cannot_ask"]

logger = logging.getLogger(__name__)

_PURPOSE = "requestState"
_digested = msgspec.json.Encoder(order="deterministic").encode
_packed = msgspec.msgpack.Encoder().encode


class _Thread(msgspec.Struct, frozen=True, array_like=True):
    root: str
    owner: tuple[str, str, str]
    round: int
    digest: bytes
    until_s: float
    """Wall clock: it may be opened by another process."""
    state: str | None
    """Of whoever asked."""


_read = msgspec.msgpack.Decoder(_Thread).decode


class Interactions:
    """Seals the states that leave by one door, and opens those that come back to it."""

    def __init__(
        self, seal: Seal, place: str, asker: str, clock: Callable[[], float], *, within_s: float, max_rounds: int
    ) -> None:
        """`place`: what is sealed here opens nowhere else. `asker`: who is at fault when it never stops. `clock`: the
        wall's. `within_s`: for an answer."""
        self._seal, self._place, self._asker, self._clock = seal, place, asker, clock
        self._within_s, self._max_rounds = within_s, max_rounds

    def outgoing(self, call: Call, asked: InputRequired) -> Outcome:
        """`asked` as the caller may see it: only what it declared, and not for ever."""
        refused = self._refusal(call, asked)
        if refused is not None:
            if asked.abandon is not None:
                asked.abandon()
            return refused
        until_s = self._clock() + self._within_s
        thread = _Thread(
            call.root, call.principal.identity, call.round + bool(asked.asks), self._digest(call), until_s, asked.state
        )
        return InputRequired(asked.asks, self._seal.close(_PURPOSE, _packed(thread)))

    def incoming(self, call: Call) -> Call | Refused:
        """`call`, which brings a state, as the next of its interaction."""
        try:
            thread = _read(self._seal.open(_PURPOSE, call.state or ""))
        except Broken:
            return _lost("this requestState is not of this server, or not as it was given")
        if thread.owner != call.principal.identity:
            logger.warning("call %s brings the requestState of another caller (interaction %s)", call.id, thread.root)
            return _lost("this requestState was given to somebody else")
        if thread.digest != self._digest(call):
            return _lost("this requestState was given for another call, or for other arguments")
        if thread.until_s < self._clock():
            return _lost("this requestState has expired")
        return replace(call, root=thread.root, round=thread.round, state=thread.state)

    def _refusal(self, call: Call, asked: InputRequired) -> Refused | Failed | None:
        missing = undeclared(asked.asks.values(), call.capabilities)
        if missing is not None:
            return cannot_ask(missing)
        if call.round >= self._max_rounds:
            return Failed(INTERNAL_ERROR, f"{self._asker}: still asking after {self._max_rounds} rounds", "yes")
        return None

    def _digest(self, call: Call) -> bytes:
        about = {key: value for key, value in call.params.items() if key != "_meta"}
        return hashlib.sha256(_digested([self._place, call.method, about])).digest()


def cannot_ask(missing: dict[str, object]) -> Refused:
    """The answer to a caller that lacks what a question needs (basic/index.mdx, error codes)."""
    said = f"client: this call has to ask, and the client has not declared {said_missing(missing)}"
    return Refused(MISSING_CAPABILITY, said, {"requiredCapabilities": missing})


def _lost(why: str) -> Refused:
    return Refused(INVALID_PARAMS, f"client: {why}; the interaction is lost: start the call again")
