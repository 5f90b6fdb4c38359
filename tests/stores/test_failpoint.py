from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from douane.stores.failpoint import ARMED, failpoint

PROGRAM = """
from douane.stores.failpoint import ARMED, failpoint
assert ARMED
for n in range(3):
    try:
        failpoint("here")
        print("passed")
    except Exception as fault:
        print(type(fault).__name__)
"""


def _run(specification: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DOUANE_FAILPOINTS": specification}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def test_nothing_is_armed_by_itself() -> None:
    assert not ARMED
    failpoint("audit.before_commit")


@pytest.mark.parametrize(
    ("specification", "seen"),
    [
        ("here=raise", ["FailpointHit"] * 3),
        ("here=eio@2", ["passed", "OSError", "passed"]),
        ("there=kill; here=enospc@3", ["passed", "passed", "OSError"]),
        ("here=sleep:0.001", ["passed"] * 3),
    ],
)
def test_an_armed_point_does_what_was_asked(specification: str, seen: list[str]) -> None:
    assert _run(specification).stdout.split() == seen


def test_a_point_can_kill() -> None:
    assert _run("here=kill@2").returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "specification", ["here", "here=explode", "here=sleep", "here=kill:3", "here=sleep:x", "here=eio@x"]
)
def test_a_specification_that_cannot_be_read_stops_the_start(specification: str) -> None:
    ended = _run(specification)
    assert ended.returncode != 0
    assert "ValueError" in ended.stderr
