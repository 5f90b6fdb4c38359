import json
from pathlib import Path
from typing import Any

import pytest

from .page import PAGE, page, why_not
from .run import LEGS, RESULTS
from .tally import COMPLETED, Scenario, scenarios, worse

STAMP = "2026-11-25T11-04-54-853Z"


def check(status: str, id_: str = "c", error: str | None = None) -> dict[str, Any]:
    return {"id": id_, "status": status, "description": "what is wanted", "errorMessage": error}


def left(folder: Path, name: str, *checks: dict[str, Any], said: str | None = None) -> None:
    at = folder / f"{name}-{STAMP}"
    at.mkdir(parents=True)
    (at / "checks.json").write_text(json.dumps(checks))
    if said is not None:
        (at / "stdout.txt").write_text(said)


@pytest.mark.parametrize(
    ("statuses", "passed"),
    [
        ((), False),
        (("INFO",), False),
        (("SKIPPED",), False),
        (("SUCCESS",), True),
        (("SUCCESS", "SKIPPED", "INFO"), True),
        (("SUCCESS", "WARNING"), False),
        (("SUCCESS", "FAILURE"), False),
    ],
)
def test_a_scenario_passes_when_something_succeeded_and_nothing_failed_or_warned(
    tmp_path: Path, statuses: tuple[str, ...], passed: bool
) -> None:
    left(tmp_path, "server-ping", *map(check, statuses))
    assert scenarios(tmp_path, "server")["ping"].passed is passed


def test_what_failed_is_told_in_the_words_of_the_suite(tmp_path: Path) -> None:
    left(tmp_path, "server-server-stateless", check("FAILURE", "a", "404  is\nwanted"), check("WARNING", "b"))
    assert scenarios(tmp_path, "server") == {
        "server-stateless": Scenario(
            {"FAILURE": 1, "WARNING": 1}, ("a: failure: 404 is wanted", "b: warning: what is wanted")
        )
    }


@pytest.mark.parametrize(("said", "passed"), [(f"a word\n{COMPLETED}\n", True), ("", False), ("a word", False)])
def test_a_client_that_did_not_come_to_its_end_has_not_passed(tmp_path: Path, said: str, passed: bool) -> None:
    left(tmp_path, "auth/basic-cimd", check("SUCCESS"), said=said)
    assert scenarios(tmp_path, "client")["auth/basic-cimd"].passed is passed


def test_what_passed_before_and_does_not_now_is_worse_and_nothing_else_is() -> None:
    good, bad = {"passed": True}, {"passed": False, "faults": ["a: failure: no"]}
    before = {"server": {"kept": good, "lost": good, "gone": good, "never": bad}}
    now = {"server": {"kept": good, "lost": bad, "never": bad, "new": bad}}
    assert list(worse(before, now)) == ["server: lost: a: failure: no", "server: gone: it did not run"]


def test_every_required_scenario_passes_but_those_the_page_explains() -> None:
    legs = json.loads(RESULTS.read_text(encoding="utf-8"))["legs"]
    failing = [
        (leg, name) for leg in LEGS for name, told in legs[leg.name].items() if told["required"] > told["passed"]
    ]
    assert [(leg.name, name) for leg, name in failing if not why_not(leg, name)] == []


def test_the_scenarios_of_authorization_pass_those_that_are_not_scored_too() -> None:
    legs = json.loads(RESULTS.read_text(encoding="utf-8"))["legs"]
    ran = {leg.name: legs[leg.name] for leg in LEGS if leg.side == "client" and not leg.between}
    told = {name: {one: how for one, how in of.items() if one.startswith("auth/")} for name, of in ran.items()}
    assert {name: len(of) for name, of in told.items()} == {"client 2025-11-25": 20, "client 2026-07-28": 31}
    assert [(name, one) for name, of in told.items() for one, how in of.items() if not how["passed"]] == []


def test_the_page_says_what_the_last_run_left() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
