"""The end of the front chain: lists go to the view, calls to the inner chain of their upstream."""

from collections.abc import Awaitable, Mapping

from ..flow.chain import Emit, Handler
from ..protocol.call import Call
from ..protocol.methods import METHODS
from ..protocol.outcome import Outcome, Refused
from ..wire.codes import METHOD_NOT_FOUND

__all__ = ["Router"]


class Router:
    """A `Handler`. Every call that reaches a peer goes through here and its upstream's chain: there is no other way."""

    def __init__(self, view: Handler, upstreams: Mapping[str, Handler], deferring: Handler) -> None:
        """`deferring`: for the calls that may be answered with a task, and what is asked of tasks."""
        self._view, self._upstreams, self._deferring = view, upstreams, deferring

    def __call__(self, call: Call, emit: Emit) -> Awaitable[Outcome]:
        if call.upstream is not None:
            if "extensions" in call.capabilities:
                return self._deferring(call, emit)
            return self._upstreams[call.upstream](call, emit)
        entry = METHODS.get(call.method)
        return self._view(call, emit) if entry is not None and entry.lists is not None else _nobody(call)


async def _nobody(call: Call) -> Outcome:
    return Refused(METHOD_NOT_FOUND, f"client: nothing here answers {call.method!r}")
