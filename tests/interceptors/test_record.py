"""RECORD without a log to record in: the caller is told whether the call ran, once and in one voice."""

import logging

import pytest

from douane.audit.log import AuditLog
from douane.flow.chain import Chain, Emit, Trail
from douane.interceptors import intent, record
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Complete, Failed, Outcome, Refused
from douane.stores.memory import MemoryLedger

UNSENT = "gateway: the audit log cannot be written, so nothing was sent (call c1)"
UNANSWERED = "gateway: the audit log cannot be written, so nothing is answered; nothing was sent (call c1)"
WITHHELD = "gateway: the call was sent, but its outcome cannot be recorded; the answer is withheld (call c1)"
DEAD = Failed(1502, "upstream: down", "no")


@pytest.mark.parametrize(
    ("ends", "seals", "said"),
    [
        (Complete({"content": []}), "before", Failed(1503, UNSENT, "no")),
        (Complete({"content": []}), "during", Failed(1503, WITHHELD, "unknown")),
        (Failed(1504, "upstream: no answer in time", "unknown"), "during", Failed(1503, WITHHELD, "unknown")),
        (DEAD, "during", Failed(1503, UNANSWERED, "no")),
    ],
)
async def test_a_call_whose_log_is_lost_is_said_to_have_been_sent_only_if_it_was(
    ends: Outcome, seals: str, said: Failed, caplog: pytest.LogCaptureFixture
) -> None:
    log = await AuditLog.open(MemoryLedger(), signer=None, origin="douane.test/log", actor_key=b"k" * 32)

    async def end(call: Call, emit: Emit) -> Outcome:
        if seals == "during":
            await log.aclose()
        return ends

    inner = Chain([intent.make(log, keep_arguments=True)], end, dispatches=True)
    chain = Chain([record.make(log, keep_results=True)], inner)
    call = Call(id="c1", root="c1", method="tools/call", params={"name": "echo"}, principal=Principal("ann"))
    if seals == "before":
        await log.aclose()
    assert await chain(call, Emit(lambda event: None, Trail(call))) == said
    assert len([one for one in caplog.records if one.levelno == logging.ERROR]) == 1


async def test_what_would_have_been_answered_without_sending_is_no_more_than_unanswered() -> None:
    log = await AuditLog.open(MemoryLedger(), signer=None, origin="douane.test/log", actor_key=b"k" * 32)
    await log.aclose()
    for ends in (Complete({"tools": []}), Refused(1403, "policy: no")):

        async def end(call: Call, emit: Emit, ends: Outcome = ends) -> Outcome:
            return ends

        chain = Chain([record.make(log, keep_results=True)], end)
        call = Call(id="c1", root="c1", method="tools/list", params={}, principal=Principal("ann"))
        assert await chain(call, Emit(lambda event: None, Trail(call))) == Failed(1503, UNANSWERED, "no")
