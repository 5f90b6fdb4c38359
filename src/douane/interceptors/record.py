"""RECORD: what became of every call, durable before its answer leaves.

Outermost, so nothing escapes it: refusals, faults and cancellations too. An answer that cannot be recorded is
withheld, and the caller is told that the call ran. Written from the trail that the runner kept.
"""

import asyncio
import logging
from time import perf_counter_ns

from ..audit.entry import Outcome as Leaf
from ..audit.entry import Status
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..flow.chain import Onward, Stage, Trail, Wrap
from ..protocol.call import Call
from ..protocol.outcome import Complete, Failed, Outcome, Refused
from ..wire import json
from ..wire.codes import AUDIT_UNAVAILABLE, CANCELLED

__all__ = ["make"]

logger = logging.getLogger(__name__)


def make(log: AuditLog, *, keep_results: bool) -> Wrap:
    """`keep_results`: results are stored beside their commitment, erasable."""

    async def around(call: Call, onward: Onward) -> Outcome:
        start = perf_counter_ns()
        try:
            outcome = await onward(call)
        except asyncio.CancelledError:
            _record_cancelled(log, onward.trail, perf_counter_ns() - start)
            raise
        trail = onward.trail
        try:
            leaf = _leaf(log, trail, outcome, perf_counter_ns() - start)
            keep = keep_results or leaf.status == "refused"
            await log.write(leaf, _payload(trail, outcome), keep=keep)
        except AuditError as exc:
            logger.error("call %s cannot be recorded (%s): its answer is withheld", call.id, exc)
            ran = "the call was sent, but" if trail.sent else "nothing was sent, and"
            message = f"gateway: {ran} its outcome cannot be recorded; the answer is withheld (call {call.id})"
            return Failed(AUDIT_UNAVAILABLE, message, "unknown" if trail.sent else "no")
        return outcome

    return Wrap("record", Stage.RECORD, around)


def _record_cancelled(log: AuditLog, trail: Trail, took_ns: int) -> None:
    # Nobody waits for this answer, and waiting here could be cancelled again.
    outcome = Failed(CANCELLED, "cancelled by the caller", "unknown" if trail.sent else "no")
    try:
        log.enqueue(_leaf(log, trail, outcome, took_ns))
    except AuditError as exc:
        logger.error("call %s was cancelled and cannot be recorded: %s", trail.call.id, exc)


def _leaf(log: AuditLog, trail: Trail, outcome: Outcome, took_ns: int) -> Leaf:
    call, notes = trail.call, trail.notes
    status, code, sent = _status(outcome)
    leaf = Leaf(
        call=call.id,
        status=status,
        code=code,
        sent=sent,
        took_us=took_ns // 1000,
        attempts=int(notes.get("attempts", 0)),
    )
    if status != "ok":
        leaf.stage = next((s.name for s in reversed(trail.steps) if s.did in ("refused", "broke", "answered")), "")
    if "intent" not in notes:
        _describe(leaf, log, call, trail)
    return leaf


def _describe(leaf: Leaf, log: AuditLog, call: Call, trail: Trail) -> None:
    # Without an intent before it, this leaf alone says what the call was.
    principal, notes = call.principal, trail.notes
    leaf.root = call.root if call.root != call.id else ""
    leaf.actor = log.actor(principal.subject)
    leaf.tenant, leaf.client = principal.tenant, principal.client
    leaf.server, leaf.tool, leaf.method = call.upstream or "", (call.name or call.target or "")[:1024], call.method
    leaf.digest = call.digest or str(notes.get("shown", ""))
    leaf.decision, leaf.rule = str(notes.get("decision", "")), str(notes.get("rule", ""))
    leaf.policy = str(notes.get("policy", ""))


def _status(outcome: Outcome) -> tuple[Status, int, str]:
    match outcome:
        case Complete():
            return ("tool_error" if outcome.result.get("isError") is True else "ok"), 0, ""
        case Refused(code):
            return "refused", code, "no"
        case Failed(code, _, sent):
            return ("cancelled" if code == CANCELLED else "failed"), code, sent
        case _:
            return "ok", 0, ""


def _payload(trail: Trail, outcome: Outcome) -> bytes | None:
    if "shown" in trail.notes:
        return None
    match outcome:
        case Complete():
            return json.encode(outcome.result) if outcome.encoded is None else outcome.encoded
        case Refused():
            return json.encode(trail.call.params)
        case _:
            return None
