"""The chain: every interceptor a call passes, in one order, under one runner.

An interceptor is a `Gate` (functions that look at a call, an outcome or an event) or a `Wrap` (one coroutine around the
rest, for what must wait on the way back too). The chain is compiled once: neighbouring gates become one loop, because
every coroutine between the door and the peer is paid for at each wait.

The runner, not the interceptors, keeps the promises:

- order comes from `Stage`, never from the order of configuration;
- an interceptor that raises, or returns what is neither call nor outcome, has failed closed (`Failed`, never
  retryable), wherever it did; so has an end that raises;
- `onward` runs once, unless the wrap says `repeats=True`;
- the trail is observed, not declared: a stage cannot forget to report.
"""

import logging
from collections.abc import Awaitable, Sequence

from ..protocol.call import Call
from ..protocol.outcome import Outcome
from .interceptor import Gate, Interceptor, Onward, Passed, Stage, Wrap
from .runner import through_gates, through_wrap
from .trail import Emit, Handler, Observer, Pausable, Step, Trail

__all__ = [
    "Chain",
    "Emit",
    "Gate",
    "Handler",
    "Interceptor",
    "Observer",
    "Onward",
    "Passed",
    "Pausable",
    "Stage",
    "Step",
    "Trail",
    "Wrap",
]

logger = logging.getLogger(__name__)


class Chain:
    """Interceptors in stage order around a handler; itself a `Handler`.

    `dispatches` is True for the inner chain, whose end hands the call to a peer.
    """

    def __init__(
        self,
        interceptors: Sequence[Interceptor],
        end: Handler,
        *,
        dispatches: bool = False,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.interceptors = tuple(sorted(interceptors, key=lambda i: i.stage))
        run = _compile(self.interceptors, end, dispatches)
        self.run: Handler = _observed(run, tuple(observers)) if observers else run
        """The chain as a plain function, for whoever calls it often."""

    def __call__(self, call: Call, emit: Emit) -> Awaitable[Outcome]:
        # Not a coroutine of its own: every frame between the door and the peer is paid at each wait.
        return self.run(call, emit)


def _compile(interceptors: Sequence[Interceptor], end: Handler, dispatches: bool) -> Handler:
    run: Handler | None = None
    gates: list[Gate] = []
    for interceptor in reversed(interceptors):
        if isinstance(interceptor, Gate):
            gates.insert(0, interceptor)
            continue
        # Gates (or, without any, a loop over none) catch what the end raises; a wrap would be blamed for it.
        if gates or run is None:
            run = through_gates(gates, run or end, dispatches=dispatches and run is None)
            gates = []
        run = through_wrap(interceptor, run)
    if gates or run is None:
        run = through_gates(gates, run or end, dispatches=dispatches and run is None)
    return run


def _observed(run: Handler, observers: Sequence[Observer]) -> Handler:
    async def observed(call: Call, emit: Emit) -> Outcome:
        outcome = await run(call, emit)
        for observe in observers:
            try:
                observe(emit.trail.call, outcome, emit.trail)
            except Exception:
                logger.exception("an observer broke on call %s", call.id)
        return outcome

    return observed
