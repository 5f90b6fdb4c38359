"""The writing process dies, or its disk fails, at any moment: all it acknowledged is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from douane.stores.sqlite import SqliteLedger, SqliteReader

from .kit import calls_in, opened, signer_in, verified

VICTIM = Path(__file__).with_name("victim.py")
POINTS = [f"audit.{when}_{what}" for what in ("stage", "commit", "ack") for when in ("before", "after")]


def _victim(folder: Path, prefix: str, calls: int, failpoints: str = "") -> subprocess.Popen[str]:
    for name in ("data", "keys"):
        (folder / name).mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(VICTIM), str(folder / "data"), str(folder / "keys"), prefix, str(calls)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DOUANE_FAILPOINTS": failpoints},
    )


def _acknowledged(lines: list[str]) -> set[tuple[str, str]]:
    whole = [line.split() for line in lines if line.endswith("\n")]
    return {(words[0], words[1]) for words in whole if words[0] in ("intent", "outcome")}


async def _recover_and_check(folder: Path, acknowledged: set[tuple[str, str]]) -> None:
    """Acknowledged ⊆ log; after recovery no open intent, and the whole verifies up to the mark."""
    signer = signer_in(folder / "keys")
    log = await opened(SqliteLedger(folder / "data" / "audit.db"), signer)
    await log.aclose()
    reader = SqliteReader(folder / "data" / "audit.db")
    report = verified(reader, vkey=signer.vkey, mark=signer.mark)
    missing = acknowledged - set(calls_in(reader))
    reader.close()
    assert report.finding is None
    assert report.open_intents == 0
    assert missing == set()


@pytest.mark.slow
async def test_forty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(11)
    acknowledged: set[tuple[str, str]] = set()
    for life in range(40):
        with _victim(tmp_path, f"life{life}", 100_000) as victim:
            assert victim.stdout is not None
            lines = [victim.stdout.readline() for _ in range(chance.randrange(1, 3000))]
            victim.send_signal(signal.SIGKILL)
            lines += victim.stdout.readlines()
        assert lines[0] == "open\n"
        acknowledged |= _acknowledged(lines)
    assert len(acknowledged) > 20_000
    await _recover_and_check(tmp_path, acknowledged)


@pytest.mark.slow
@pytest.mark.parametrize("action", ["kill", "eio", "enospc", "raise"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_fault_at_any_point_keeps_what_was_acknowledged(tmp_path: Path, point: str, action: str) -> None:
    with _victim(tmp_path, "v", 400, f"{point}={action}@9") as victim:
        assert victim.stdout is not None
        lines = victim.stdout.readlines()
    acknowledged = _acknowledged(lines)
    assert lines[0] == "open\n"
    if action == "kill":
        assert victim.returncode == -signal.SIGKILL
    else:
        assert lines[-1] == "end\n"
        assert any(line.startswith("refused") for line in lines), "the fault was not noticed"
        if "stage" not in point:
            assert lines[-2].startswith("refused"), "the log went on after its store failed"
    await _recover_and_check(tmp_path, acknowledged)


@pytest.mark.slow
async def test_a_disk_that_sleeps_five_seconds_denies_within_two_and_a_half(tmp_path: Path) -> None:
    with _victim(tmp_path, "v", 80, "audit.before_commit=sleep:5@5") as victim:
        assert victim.stdout is not None
        lines = victim.stdout.readlines()
    waited = [float(line.split()[1]) for line in lines if line.startswith("refused")]
    assert waited
    assert max(waited) <= 2.5
    assert lines[-1] == "end\n"
    await _recover_and_check(tmp_path, _acknowledged(lines))
