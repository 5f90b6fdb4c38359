"""Each control is taken out of a copy of the program, and the test that claims to show it fails there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .of_clients import ROWS, Claim

ROOT = Path(__file__).parent.parent.parent
BOUND_S = 120.0
_TESTS_FAILED = 1


@pytest.mark.slow
@pytest.mark.parametrize("claim", ROWS, ids=lambda claim: claim.control)
def test_without_the_control_its_test_fails(claim: Claim, tmp_path: Path) -> None:
    copy = tmp_path / "douane"
    shutil.copytree(ROOT / "src" / "douane", copy, ignore=shutil.ignore_patterns("__pycache__"))
    place = copy / claim.file
    text = place.read_text()
    assert text.count(claim.stands) == 1
    place.write_text(text.replace(claim.stands, claim.instead))
    line = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout", "60", claim.test)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=BOUND_S, check=False)
    assert ran.returncode == _TESTS_FAILED, ran.stdout[-2000:]
