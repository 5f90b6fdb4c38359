"""RECORD: what became of every call, durable before its answer leaves.

Outermost, so nothing escapes it: refusals, faults and cancellations too. An answer that cannot be recorded is
withheld, and the caller is told that the call ran. Written from the trail that the runner kept.
"""

import logging
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import cast

from msgspec.structs import replace

from ..audit.entry import Denied, Status
from ..audit.entry import Outcome as Leaf
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..auth.sparing import Sparing
from ..flow.chain import Gate, Stage, Trail
from ..protocol.call import Call, Principal
from ..protocol.outcome import Complete, Failed, InputRequired, Outcome, Refused
from ..wire import json
from ..wire.codes import AUDIT_UNAVAILABLE, CANCELLED

__all__ = ["Questions", "Refusals", "make"]

logger = logging.getLogger(__name__)


def make(log: AuditLog, *, keep_results: bool, endpoint: str = "") -> Gate:
    """`keep_results`: results are stored beside their commitment, erasable. `endpoint`: the virtual server whose calls
    it records."""

    def note(call: Call, trail: Trail) -> Call:
        trail.endpoint = endpoint
        return call

    def close(call: Call, outcome: Outcome, trail: Trail) -> Outcome | Awaitable[Outcome]:
        try:
            leaf = _leaf(log, trail, outcome)
            keep = keep_results or leaf.status == "refused"
            written = log.take(leaf, _payload(trail, outcome), keep=keep)
        except AuditError as exc:
            return _withheld(outcome, trail, exc)
        return outcome if type(written) is int else _written(cast("Awaitable[int]", written), outcome, trail)

    def cut(trail: Trail) -> None:
        # Nobody waits for this answer.
        outcome = Failed(CANCELLED, "cancelled by the caller", "unknown" if trail.sent else "no")
        try:
            log.enqueue(_leaf(log, trail, outcome))
        except AuditError as exc:
            logger.error("call %s was cancelled and cannot be recorded: %s", trail.call.id, exc)

    return Gate("record", Stage.RECORD, hold=note if endpoint else None, close=close, cut=cut)


class Refusals:
    """Records what the doors of one endpoint refuse, which no chain has seen. Nothing waits for it: nothing was sent."""

    def __init__(self, log: AuditLog, endpoint: str = "") -> None:
        """`endpoint`: as for `make`."""
        self._log, self._endpoint = log, endpoint
        self._said = Sparing()

    def refused(self, call: Call, refusal: Refused) -> None:
        """A call that got no further than its door."""
        try:
            self._log.enqueue(_leaf(self._log, Trail(call, endpoint=self._endpoint), refusal))
        except AuditError as exc:
            logger.error("call %s was refused and cannot be recorded: %s", call.id, exc)

    def turned(self, door: str, principal: Principal, code: int, reason: str) -> None:
        """What is no call; the same of the same principal once a second at most."""
        if not self._said.is_first((principal.identity, door, code, reason), perf_counter_ns() / 1e9):
            return
        actor = self._log.actor
        try:
            leaf = Denied(
                actor=actor(principal.subject), code=code, door=door, endpoint=self._endpoint, reason=reason[:1024]
            )
            self._log.enqueue(leaf)
        except AuditError as exc:
            logger.error("what %s was told at the door cannot be recorded: %s", door, exc)


class Questions:
    """Records what one upstream has asked in vain. Nothing waits for it."""

    def __init__(self, log: AuditLog, upstream: str, new_id: Callable[[], str]) -> None:
        self._log, self._upstream, self._new_id = log, upstream, new_id
        self._said = Sparing()

    def abandoned(self, call: Call, endpoint: str) -> None:
        """Nobody answered what a call was asked, and it was given up for that."""
        leaf = Leaf(call=self._new_id(), status="cancelled", code=CANCELLED, cause="abandoned", sent="yes")
        self._write(leaf, call, endpoint, call.method)

    def refused(self, method: str, code: int, call: Call | None, endpoint: str) -> None:
        """A question was refused: of `call`, or of none that could be told. The same once a second at most."""
        root = call.root if call is not None else ""
        # That nobody answered is the call's affair: it was abandoned, or has ended.
        if code == CANCELLED or not self._said.is_first((method, code, root), perf_counter_ns() / 1e9):
            return
        leaf = Leaf(call=self._new_id(), status="refused", code=code, cause="question", sent="no")
        self._write(leaf, call, endpoint, method[:1024])

    def _write(self, leaf: Leaf, call: Call | None, endpoint: str, method: str) -> None:
        try:
            if call is not None:
                _describe(leaf, self._log, replace(call, id=leaf.call), Trail(call, endpoint=endpoint))
            leaf.server, leaf.method = self._upstream, method
            self._log.enqueue(leaf)
        except AuditError as exc:
            logger.error("what upstream %s has asked in vain cannot be recorded: %s", self._upstream, exc)


async def _written(written: Awaitable[int], outcome: Outcome, trail: Trail) -> Outcome:
    try:
        await written
    except AuditError as exc:
        return _withheld(outcome, trail, exc)
    return outcome


def _withheld(outcome: Outcome, trail: Trail, exc: AuditError) -> Failed:
    call = trail.call
    unsent = not trail.sent or (type(outcome) is Failed and outcome.sent == "no")
    if unsent and type(outcome) is Failed and outcome.code == AUDIT_UNAVAILABLE:
        # Of the intent, which said and logged all there is to say: no answer is withheld here.
        return outcome
    logger.error("call %s cannot be recorded (%s): its answer is withheld", call.id, exc)
    if unsent:
        message = f"gateway: the audit log cannot be written, so nothing is answered; nothing was sent (call {call.id})"
        return Failed(AUDIT_UNAVAILABLE, message, "no")
    message = f"gateway: the call was sent, but its outcome cannot be recorded; the answer is withheld (call {call.id})"
    return Failed(AUDIT_UNAVAILABLE, message, "unknown")


def _leaf(log: AuditLog, trail: Trail, outcome: Outcome) -> Leaf:
    call = trail.call
    took_us = (perf_counter_ns() - trail.began_ns) // 1000
    if type(outcome) is Complete:
        status: Status = "tool_error" if outcome.result.get("isError") is True else "ok"
        leaf = Leaf(call=call.id, status=status, took_us=took_us, attempts=trail.attempts)
    else:
        status, code, sent = _status(outcome)
        leaf = Leaf(call=call.id, status=status, code=code, sent=sent, took_us=took_us, attempts=trail.attempts)
    if type(outcome) is InputRequired:
        leaf.cause = "asks"
    if status != "ok":
        leaf.stage = next((s.name for s in reversed(trail.steps) if s.did in ("refused", "broke", "answered")), "")
    if trail.intent < 0:
        _describe(leaf, log, call, trail)
    elif trail.decision == "deny":
        # Decided anew while it ran.
        leaf.cause, leaf.decision, leaf.rule = "revoked", trail.decision, trail.rule
    return leaf


def _describe(leaf: Leaf, log: AuditLog, call: Call, trail: Trail) -> None:
    # Without an intent before it, this leaf alone says what the call was.
    principal = call.principal
    leaf.root = call.root if call.root != call.id else ""
    leaf.actor = log.actor(principal.subject)
    leaf.tenant, leaf.client = principal.tenant, principal.client
    leaf.server, leaf.tool, leaf.method = call.upstream or "", (call.name or call.target or "")[:1024], call.method
    leaf.digest, leaf.endpoint = call.digest or trail.shown, trail.endpoint
    leaf.decision, leaf.rule, leaf.policy = trail.decision, trail.rule, trail.policy


def _status(outcome: Outcome) -> tuple[Status, int, str]:
    match outcome:
        case Refused(code):
            return "refused", code, "no"
        case Failed(code, _, sent):
            return ("cancelled" if code == CANCELLED else "failed"), code, sent
        case _:
            return "ok", 0, ""


def _payload(trail: Trail, outcome: Outcome) -> bytes | None:
    if trail.shown:
        return None
    if type(outcome) is Complete:
        return outcome.encoded or json.encode(outcome.result)
    if type(outcome) is InputRequired:
        return json.encode({"inputRequests": outcome.asks})
    return json.encode(trail.call.params) if type(outcome) is Refused else None
