"""INTENT: what cannot be written down is not sent, and why is nothing for a caller."""

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from douane.audit.log import AuditLog
from douane.flow.chain import Chain, Emit, Trail
from douane.interceptors import intent
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Complete, Failed, Outcome
from douane.stores.memory import MemoryLedger
from douane.stores.ports import Bundle, Row, StoreFailed

WHY = "/home/ann/.local/share/douane/audit.db: disk I/O error"


class Breaking(MemoryLedger):
    instant = False
    broken = False

    def append(self, bundle: Bundle, also: Sequence[Row] = ()) -> None:
        if self.broken:
            raise StoreFailed(WHY)
        super().append(bundle, also)


@pytest_asyncio.fixture
async def ledger() -> Breaking:
    return Breaking()


@pytest_asyncio.fixture
async def log(ledger: Breaking) -> AsyncIterator[AuditLog]:
    opened = await AuditLog.open(ledger, signer=None, origin="douane.test/log", actor_key=b"k" * 32)
    yield opened
    await opened.aclose()


async def test_a_call_that_cannot_be_written_down_is_not_sent_and_its_caller_learns_no_file_names(
    ledger: Breaking, log: AuditLog, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[Call] = []

    async def end(call: Call, emit: Emit) -> Outcome:
        sent.append(call)
        return Complete({"content": []})

    async def run() -> Outcome:
        call = Call(id="c1", root="c1", method="tools/call", params={"name": "echo"}, principal=Principal("ann"))
        return await chain(call, Emit(lambda event: None, Trail(call)))

    chain = Chain([intent.make(log, keep_arguments=True)], end, dispatches=True)
    assert isinstance(await run(), Complete)
    ledger.broken = True
    # The first finds it broken, the second finds it sealed.
    refused = [await run(), await run()]
    said = "gateway: the audit log cannot be written, so nothing was sent (call c1)"
    assert refused == [Failed(1503, said, "no")] * 2
    assert len(sent) == 1
    assert WHY in caplog.text
