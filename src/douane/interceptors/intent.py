"""INTENT: the log holds the call before the peer does. No intent, no dispatch.

It is the last stage but one, so what it writes is what will be sent. A call that still has something to be asked of
a person does not pass.
"""

import logging

from ..audit.entry import Intent
from ..audit.errors import AuditError
from ..audit.log import AuditLog
from ..flow.chain import Gate, Stage, Trail
from ..protocol.call import Call
from ..protocol.outcome import Failed, Outcome, Refused
from ..wire import json
from ..wire.codes import AUDIT_UNAVAILABLE, POLICY_DENIED

__all__ = ["make"]

logger = logging.getLogger(__name__)


def make(log: AuditLog, *, keep_arguments: bool) -> Gate:
    """`keep_arguments`: the arguments themselves are stored beside their commitment, erasable."""

    async def hold(call: Call, trail: Trail) -> Call | Outcome:
        if call.asks:
            return Refused(
                POLICY_DENIED, f"policy: needs an approval that nobody can give here ({call.asks[0].reason})"
            )
        notes = trail.notes
        principal = call.principal
        try:
            leaf = Intent(
                call=call.id,
                root=call.root if call.root != call.id else "",
                actor=log.actor(principal.subject),
                tenant=principal.tenant,
                client=principal.client,
                server=call.upstream or "",
                tool=call.name or "",
                method=call.method,
                digest=call.digest,
                decision=str(notes.get("decision", "")),
                rule=str(notes.get("rule", "")),
                policy=str(notes.get("policy", "")),
            )
            notes["intent"] = await log.write(leaf, json.encode(call.params), keep=keep_arguments)
        except AuditError as exc:
            # Why may name files of this machine: that is for the log.
            logger.error("call %s is not sent, its intent cannot be written: %s", call.id, exc)
            said = f"gateway: the audit log cannot be written, so nothing was sent (call {call.id})"
            return Failed(AUDIT_UNAVAILABLE, said, "no")
        return call

    return Gate("intent", Stage.INTENT, hold=hold)
