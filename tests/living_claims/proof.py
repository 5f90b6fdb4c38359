"""Each control, taken out of a copy of the source: its tests must fail there. Not a file of tests by its name, since it runs
others in processes of their own and takes minutes: `make claims`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from .table import CLAIMS as DOOR
from .table import Claim
from .upstreams import UPSTREAMS

CLAIMS = (*DOOR, *UPSTREAMS)
ROOT = Path(__file__).parents[2]
_WITHIN_S = 300
_FAULTS = ("AssertionError", "TimeoutError", "DID NOT RAISE")
"""What a test says whose control is gone; anything else says that it did not get so far."""


def without(claim: Claim, into: Path) -> Path:
    """A copy of the source in which the control is not there."""
    source = into / "src"
    shutil.copytree(ROOT / "src" / "douane", source / "douane", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in claim.edits:
        path = source / "douane" / edit.file
        text = path.read_text()
        assert text.count(edit.text) == 1, f"{edit.file} does not hold, exactly once: {edit.text}"
        path.write_text(text.replace(edit.text, edit.instead))
    return source


def run(tests: Sequence[str], source: Path, *options: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    # A folder with a short name: the path of a socket may have a hundred bytes.
    with tempfile.TemporaryDirectory(prefix="c") as base:
        line = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--basetemp={base}/t",
            *options,
            *tests,
        ]
        return subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=_WITHIN_S, check=False)


@pytest.mark.parametrize(
    ("claim", "test"),
    [(claim, test) for claim in CLAIMS for test in claim.tests],
    ids=[claim.control for claim in CLAIMS for _ in claim.tests],
)
def test_without_its_control_a_test_fails(claim: Claim, test: str, tmp_path: Path) -> None:
    ran = run([test], without(claim, tmp_path), "-x")
    # 1: tests ran, and some failed. What cannot be collected or does not start proves nothing.
    assert ran.returncode == 1, ran.stdout[-2000:] + ran.stderr[-1000:]
    assert any(fault in ran.stdout for fault in _FAULTS), ran.stdout[-2000:]
    assert "the gateway ended at once" not in ran.stdout, ran.stdout[-2000:]


def test_with_every_control_in_place_the_tests_pass(tmp_path: Path) -> None:
    source = without(Claim("nothing", (), ()), tmp_path)
    tests = sorted({test for claim in CLAIMS for test in claim.tests})
    ran = run(tests, source)
    assert ran.returncode == 0, ran.stdout[-2000:]
