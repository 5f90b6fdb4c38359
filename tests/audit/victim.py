"""A process that writes calls until it is killed, and says what was acknowledged. Run by test_kill.

    victim.py DATA_DIR KEY_DIR PREFIX CALLS

Prints `intent C` and `outcome C` once each is durable, `refused SECONDS` when a write was refused after so
long, and `end`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from douane.audit.checkpoint import Signer
from douane.audit.entry import Intent, Outcome
from douane.audit.errors import AuditSealed
from douane.audit.log import AuditLog
from douane.audit.writer import AuditSettings
from douane.stores.failpoint import FailpointHit
from douane.stores.sqlite import SqliteLedger

ORIGIN = "douane.test/log"


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def caller(log: AuditLog, calls: list[str]) -> None:
    for call in calls:
        started = time.monotonic()
        try:
            await log.write(Intent(call=call, tool="now"), b"asked" * 20)
            say(f"intent {call}")
            await log.write(Outcome(call=call, status="ok"), b"answered" * 40)
            say(f"outcome {call}")
        except (AuditSealed, OSError, FailpointHit):
            say(f"refused {time.monotonic() - started:.3f}")


async def main() -> None:
    data, keys, prefix, calls = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    key = keys / "audit.key"
    log = await AuditLog.open(
        SqliteLedger(data / "audit.db"),
        signer=Signer(key) if key.exists() else Signer.create(key, ORIGIN),
        origin=ORIGIN,
        actor_key=b"k" * 32,
        settings=AuditSettings(min_free_bytes=0, checkpoint_every_s=0.02),
    )
    say("open")
    await asyncio.gather(*[caller(log, [f"{prefix}.{c}.{n}" for n in range(calls // 8)]) for c in range(8)])
    await log.aclose()
    say("end")


asyncio.run(main())
