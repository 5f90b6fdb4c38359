"""Calls that may be asked something, put to an upstream of the handshake era: each on a session leased to it.

What the upstream asks ends the call with `InputRequired`; the call that brings the answers goes on where it stopped.
Nothing that was sent is sent again.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager

import msgspec
from msgspec.structs import replace

from ..auth.credentials import LoginFailed
from ..flow.chain import Emit
from ..flow.rounds import Exchange, Parking
from ..guards.forms import secret_field
from ..protocol import apps
from ..protocol.call import JSON, Call, Principal
from ..protocol.methods import METHODS
from ..protocol.offers import Askable, offered, question_fault
from ..protocol.outcome import Complete, Failed, InputRequired, Outcome
from ..protocol.outcome import Refused as Refusal
from ..sdk.connect import CannotConnect
from ..sdk.respondent import Respondent
from ..sdk.session import Session
from ..transports.link import LinkClosed
from ..wire.codes import POLICY_DENIED, UPSTREAM_UNAVAILABLE
from ..wire.json import is_object
from .leased_call import LeasedCall
from .leases import Bounds, Lease, Leases, NoneFree, OpenLeased, Refused, unheard

__all__ = ["Asking", "Interactive", "judged", "judged_task"]

logger = logging.getLogger(__name__)


def _nobody(call: Call, endpoint: str) -> None:
    return


class Asking(msgspec.Struct, frozen=True):
    """What an upstream may ask of those who call it, as the operator says."""

    kinds: tuple[Askable, ...] = ("elicitation",)
    """Elicitation is seen by a person; what is sampled or listed may not be."""
    lists: bool = False
    """List what it shows only to clients that can be asked, too: that takes a session more."""
    roots: tuple[JSON, ...] = ()
    """What it is answered when it asks for roots outside of a call."""
    bounds: Bounds = Bounds(16, 32, 256)
    ttl_s: float = 300.0
    """How long a question waits for its answer."""
    window_s: float = 0.05
    """What is asked at once arrives within it."""
    max_rounds: int = 50
    """Of one call: a model that uses tools is asked many times."""
    abandoned: Callable[[Call, str], None] = _nobody
    """Told of a call whose questions nobody has answered in time, and by which endpoint it came."""
    refused: Refused = unheard

    @property
    def offer(self) -> JSON:
        """All that callers could offer it."""
        return offered({"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}, self.kinds)

    @property
    def outside(self) -> Respondent:
        """Who answers what it asks where no call can be asked."""
        if self.roots:
            return Respondent({"roots": {}}, self._outside, refused=self._refused_outside, extensions=apps.OFFERED)
        return Respondent(refused=self._refused_outside, extensions=apps.OFFERED)

    def _refused_outside(self, method: str, code: int, reason: str) -> None:
        self.refused(method, code, None, "")

    async def _outside(self, method: str, params: JSON) -> JSON:
        return {"roots": self.roots}

    def offering(self, call: Call) -> Call:
        """`call` with what it may offer its upstream, and no more."""
        entry = METHODS.get(call.method)
        may_ask = entry is not None and (entry.may_ask or entry.target_key == "taskId")
        return replace(call, capabilities=offered(call.capabilities, self.kinds if may_ask else ()))


def judged_task(call: Call, outcome: Outcome) -> Outcome:
    """How a task stands, if its caller may be asked what it asks."""
    asks: object = outcome.result.get("inputRequests") if isinstance(outcome, Complete) else None
    if not is_object(asks):
        return outcome
    faults = (question_fault(question, call.capabilities) for question in asks.values())
    fault = next((fault for fault in faults if fault is not None), None)
    if fault is not None:
        return Failed(UPSTREAM_UNAVAILABLE, f"upstream: asks for input that nobody offered to give: {fault}", "yes")
    verdict = judged(InputRequired(asks))
    return verdict if isinstance(verdict, Failed) else outcome


def judged(outcome: InputRequired) -> InputRequired | Failed:
    """Whether callers may be asked this: nobody is asked for a secret in a form."""
    for question in outcome.asks.values():
        schema: object = question.get("params", {}).get("requestedSchema")
        field = secret_field(schema) if is_object(schema) else None
        if field is not None:
            if outcome.abandon is not None:
                outcome.abandon()
            said = f"policy: the upstream asks for a secret in a form ({field!r}), where clients and models see it"
            return Failed(POLICY_DENIED, f"{said}; servers have to send people to a page (url elicitation)", "yes")
    return outcome


class _Outdated(Exception):
    """What is called is no longer what was shown."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class Interactive:
    """A `Handler` for one upstream."""

    def __init__(
        self,
        name: str,
        open_session: OpenLeased,
        asking: Asking,
        outdated: Callable[[Call], Refusal | None],
        *,
        idle_s: float,
        owner: Callable[[Principal], Hashable] | None = None,
    ) -> None:
        """`outdated`: how a call is refused whose target is no longer what its caller was shown. `owner`: whose a session
        is, where that is less than a principal's identity."""
        self._name, self._asking, self._outdated = name, asking, outdated
        more = {} if owner is None else {"owner": owner}
        self.leases = Leases(
            open_session, asking.bounds, idle_s=idle_s, roots=asking.roots, refused=asking.refused, **more
        )
        self._parking = Parking(self._begin, ttl_s=asking.ttl_s)

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        try:
            outcome = await self._parking(call, emit)
            if isinstance(outcome, Failed) and outcome.sent == "no" and call.state is None:
                # What was surely not sent may be sent once more: the session had ended unnoticed.
                emit.trail.attempts = 2
                outcome = await self._parking(call, emit)
        except LoginFailed as exc:
            return Failed(UPSTREAM_UNAVAILABLE, f"{exc} (call {call.id})", "no")
        except (CannotConnect, LinkClosed, TimeoutError) as exc:
            # Why may quote commands and stderr: that is for the log.
            logger.warning("upstream %s: a session for call %s could not be opened: %s", self._name, call.id, exc)
            said = f"upstream {self._name}: no session could be opened for a call that it may ask something"
            return Failed(UPSTREAM_UNAVAILABLE, said, "no")
        except _Outdated as exc:
            return exc.refusal
        except NoneFree:
            said = f"upstream {self._name}: all its sessions for calls that may be asked something are in use"
            return Failed(UPSTREAM_UNAVAILABLE, f"{said}; its calls wait for answers", "no")
        return judged(outcome) if isinstance(outcome, InputRequired) else outcome

    @asynccontextmanager
    async def unclaimed(self) -> AsyncGenerator[Session]:
        """A session that offers all that callers could, and has served none. Raises NoneFree, or as opening one."""
        lease = await self.leases.unclaimed(self._asking.offer)
        try:
            yield lease.session
        except BaseException:
            self.leases.destroy(lease)
            raise
        self.leases.give_back(lease)

    @property
    def holding(self) -> dict[str, int]:
        """Its sessions for calls that may be asked something, and the calls that wait for an answer."""
        taken = self.leases.taken
        idle = len(self.leases) - taken
        return {"sessions_in_use": taken, "sessions_idle": idle, "waiting_for_answers": len(self._parking)}

    def withdraw(self, is_refused: Callable[[Call], object]) -> None:
        """Give up the questions of callers that would be refused now."""
        self._parking.withdraw(is_refused)

    async def aclose(self) -> None:
        await self._parking.aclose()
        await self.leases.aclose()

    async def _begin(self, call: Call, emit: Emit) -> Exchange:
        lease = await self.leases.take(call.principal, call.capabilities, call.deadline_s or 0.0)
        # It may have waited for that session for as long as a person thinks.
        refusal = self._outdated(call)
        if refusal is not None:
            self.leases.give_back(lease)
            raise _Outdated(refusal)
        return self._leased(lease, call, emit)

    def _leased(self, lease: Lease, call: Call, emit: Emit) -> LeasedCall:
        asking = self._asking
        return LeasedCall(
            lease,
            self.leases,
            call,
            emit,
            window_s=asking.window_s,
            max_rounds=asking.max_rounds,
            abandoned=asking.abandoned,
        )
