"""Run the tests that the table names, and write down how each ended: `python -m bridging.run`, in the folder of the tests.

A test that did not run is in the results as missing, so that the page cannot take it for one that passed.
"""

import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

from .table import named

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        line = [sys.executable, "-m", "pytest", "-n", "2", f"--junitxml={report}", *named()]
        status = subprocess.run(line, cwd=HERE.parent, check=False).returncode
        ended = _ended(report)
    outcomes = {test: _of(test, ended) for test in named()}
    RESULTS.write_text(json.dumps(outcomes, indent=1, ensure_ascii=False) + "\n")
    return status


def _ended(report: Path) -> dict[str, list[str]]:
    """How every parametrised test ended, by its node id and by that without its parameters."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for case in ET.parse(report).iter("testcase"):
        words = {child.tag for child in case} & {"failure", "error", "skipped"}
        path = case.attrib["classname"].removeprefix("tests.").replace(".", "/")
        node = f"{path}.py::{case.attrib['name']}"
        for name in {node, node.partition("[")[0]}:
            found[name].append(min(words, default="passed"))
    return found


def _of(test: str, ended: dict[str, list[str]]) -> str:
    words = set(ended.get(test, ["missing"]))
    return "passed" if words == {"passed"} else min(words - {"passed"})


if __name__ == "__main__":
    sys.exit(main())
