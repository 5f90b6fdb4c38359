"""INTENT: the log holds the call before the peer does. No intent, no dispatch.

It is the last stage but one, so what it writes is what will be sent. A call that still has something to be asked of
a person does not pass.
"""

import logging
from collections.abc import Awaitable
from typing import cast

from ..audit.entry import Intent
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..flow.chain import Gate, Passed, Stage, Trail
from ..protocol.call import Call
from ..protocol.outcome import Failed, Refused
from ..wire import json
from ..wire.codes import AUDIT_UNAVAILABLE, POLICY_DENIED

__all__ = ["make"]

logger = logging.getLogger(__name__)


def make(log: AuditLog, *, keep_arguments: bool) -> Gate:
    """`keep_arguments`: the arguments themselves are stored beside their commitment, erasable."""

    def hold(call: Call, trail: Trail) -> Passed | Awaitable[Passed]:
        if call.asks:
            return Refused(
                POLICY_DENIED, f"policy: needs an approval that nobody can give here ({call.asks[0].reason})"
            )
        principal = call.principal
        try:
            leaf = Intent(
                call=call.id,
                root=call.root if call.root != call.id else "",
                actor=log.actor(principal.subject),
                tenant=principal.tenant,
                client=principal.client,
                server=call.upstream or "",
                tool=(call.name or "")[:1024],
                method=call.method,
                digest=call.digest,
                decision=trail.decision,
                rule=trail.rule,
                policy=trail.policy,
            )
            if trail.endpoint:
                leaf.endpoint = trail.endpoint
            if call.answers:
                params = json.encode({**call.params, "inputResponses": call.answers})
            else:
                params = json.encode(call.params)
                trail.written = (call.params, params)
            written = log.take(leaf, params, keep=keep_arguments)
        except AuditError as exc:
            return _unsent(call, exc)
        if type(written) is int:
            trail.intent = written
            return call
        return _written(cast("Awaitable[int]", written), call, trail)

    return Gate("intent", Stage.INTENT, hold=hold)


async def _written(written: Awaitable[int], call: Call, trail: Trail) -> Call | Failed:
    try:
        trail.intent = await written
    except AuditError as exc:
        return _unsent(call, exc)
    return call


def _unsent(call: Call, exc: AuditError) -> Failed:
    # Why may name files of this machine: that is for the log.
    logger.error("call %s is not sent, its intent cannot be written: %s", call.id, exc)
    said = f"gateway: the audit log cannot be written, so nothing was sent (call {call.id})"
    return Failed(AUDIT_UNAVAILABLE, said, "no")
