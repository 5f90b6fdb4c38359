"""What a run of the suite says, counted strictly.

The suite's own summary calls a scenario passed that only warned, was skipped or checked nothing; against a port where
nobody listens four of its scenarios "pass". Here a scenario has passed when at least one of its checks succeeded and
none failed or warned, and when the client under test, where there is one, came to its end.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

__all__ = ["COMPLETED", "Scenario", "required", "scenarios", "unscored", "worse"]

COMPLETED = "completed"
"""What the client under test prints last."""

_STAMP = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z$")
_REQUIREMENTS = Path(__file__).parent / "node_modules" / "@modelcontextprotocol" / "conformance" / "requirements"

Legs = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Leg → scenario → as `Scenario.told` has it."""


class Scenario(NamedTuple):
    counts: Mapping[str, int]
    """Checks by status: SUCCESS, FAILURE, WARNING, SKIPPED. What only informs is not counted."""
    faults: tuple[str, ...]
    """What failed or warned, in the suite's words."""

    @property
    def passed(self) -> bool:
        return not self.faults and self.counts.get("SUCCESS", 0) > 0

    def told(self) -> dict[str, Any]:
        """As it is written."""
        told: dict[str, Any] = {"passed": self.passed, "checks": dict(sorted(self.counts.items()))}
        return told | ({"faults": list(self.faults)} if self.faults else {})


NEVER_RAN = Scenario({}, ("it left no checks",))


def scenarios(folder: Path, leg: str) -> dict[str, Scenario]:
    """All that a run of `leg` (`server` or `client`) left in `folder`, by name."""
    found = {}
    for path in sorted(folder.rglob("checks.json")):
        name = _STAMP.sub("", str(path.parent.relative_to(folder)))
        name = name.removeprefix("server-") if leg == "server" else name
        said = path.parent / "stdout.txt" if leg == "client" else None
        found[name] = _counted(json.loads(path.read_text()), None if said is None else said.read_text())
    return found


def _counted(checks: list[dict[str, Any]], said: str | None) -> Scenario:
    counts = Counter(check["status"] for check in checks if check["status"] != "INFO")
    faults = [_fault(check) for check in checks if check["status"] in ("FAILURE", "WARNING")]
    if said is not None and said.split()[-1:] != [COMPLETED]:
        faults.append("the client did not come to its end")
    return Scenario(counts, tuple(faults))


def _fault(check: Mapping[str, Any]) -> str:
    why = check.get("errorMessage") or check["description"]
    return f"{check['id']}: {check['status'].lower()}: {' '.join(str(why).split())[:300]}"


def required(revision: str, leg: str) -> list[str]:
    """The scenarios a revision requires of a server or a client, in the suite's order."""
    return _requirements(revision)[leg]


def unscored(revision: str, leg: str) -> list[str]:
    """Those it runs beside them and never counts."""
    return [entry["scenario"] for entry in _requirements(revision)["not_scored"] if entry["leg"] == leg]


def _requirements(revision: str) -> dict[str, Any]:
    return yaml.safe_load((_REQUIREMENTS / f"{revision}.yaml").read_text())


def worse(before: Legs, now: Legs) -> Iterator[str]:
    """Each scenario that passed before and does not now."""
    for leg, kept in before.items():
        for name, told in kept.items():
            if told["passed"] and not now.get(leg, {}).get(name, {}).get("passed"):
                faults = now.get(leg, {}).get(name, {}).get("faults", ["it did not run"])
                yield f"{leg}: {name}: {'; '.join(faults) or 'no check succeeded'}"
