"""docs/conformance.md, from `results.json`. `python -m conformance.page`, in the folder of the tests, writes it to stdout."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .run import LEGS, RESULTS, Leg

__all__ = ["PAGE", "page", "why_not"]

PAGE = RESULTS.parents[2] / "docs" / "conformance.md"

Told = Mapping[str, Mapping[str, Any]]

_HEAD = """\
# How conformant is it?

The Model Context Protocol has an official
[conformance suite](https://github.com/modelcontextprotocol/conformance). It plays a client to a server that offers what
its scenarios call, and a server to a client that does what they ask. `make conformance` runs it over Streamable HTTP
against a server on Douane's SDK, against a client on the same, and against each with the gateway between: one upstream,
names as they are, a policy that permits everything. The fixture serves both revisions by the same functions, so the
gateway is tried with each in front and each behind. This page is written from what the last run left in
`tests/conformance/results.json`, and a test holds it to that.

It is counted more strictly than the suite does itself: a scenario has passed when at least one of its checks succeeded,
none failed and none warned. Two controls run each time and must not pass: a port where nobody listens, and a server
broken on purpose. A run in which something fails that passed before fails as a whole."""


_WHY = {"tasks-status-notifications": "the suite checks nothing yet"}
_BETWEEN = {
    "server-sse-polling": "the server's stream is closed in mid-call, and it is the gateway that comes back for the rest"
}
_BRIDGED = {
    "server-stateless": "it wants an error that revision 2025-11-25 does not have: a tool there that cannot ask says so"
    " in its result, and that is what comes through",
    "input-required-result-basic-elicitation": "it wants the key `user_name`; a question of revision 2025-11-25 has no"
    " key, so the gateway makes one",
    "input-required-result-ignore-extra-params": "it answers under that key before it was asked",
    "tasks-required-task-error": "it wants a refusal; the gateway runs tasks of that revision for clients that have none",
    "tasks-mrtr-input": "a task of that revision that asks is not carried",
    "tasks-mrtr-composition": "the same",
}
"""Where the server behind the gateway is of the older revision."""


def page() -> str:
    document = json.loads(RESULTS.read_text(encoding="utf-8"))
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield _HEAD
    yield ""
    yield f"Last run that came to something else than the one before: {document['when']}, {document['machine']}."
    yield ""
    yield "| | required | not scored |"
    yield "|---|---|---|"
    for leg in LEGS:
        told = document["legs"][leg.name]
        yield f"| {leg.says} | {_share(told, required=True)} | {_share(told, required=False)} |"
    yield ""
    yield f"Without a gateway, server and client, both revisions: {_required(document['legs'])} of the required scenarios."
    yield ""
    yield "Not scored are the scenarios of extensions, and those that came to the suite after the revision. Behind the gateway"
    yield "the client is not asked for authorization, which would be the gateway's to give."
    for leg in LEGS:
        yield from _failing(leg, document["legs"][leg.name])


def _share(told: Told, *, required: bool) -> str:
    passed = [one["passed"] for one in told.values() if one["required"] is required]
    return f"{sum(passed)} of {len(passed)}"


def _required(legs: Mapping[str, Told]) -> str:
    alone = [leg for leg in LEGS if not leg.between and not leg.name.startswith("gateway ")]
    passed = [one["passed"] for leg in alone for one in legs[leg.name].values() if one["required"]]
    return f"{sum(passed)} of {len(passed)}"


def _failing(leg: Leg, told: Told) -> Iterator[str]:
    failing = {name: why for name, why in told.items() if not why["passed"]}
    if not failing:
        return
    yield ""
    yield f"## What does not pass: {leg.says}"
    yield ""
    yield "| scenario | | checks | why |"
    yield "|---|---|---|---|"
    for name, why in failing.items():
        kind = "required" if why["required"] else "not scored"
        yield f"| `{name}` | {kind} | {_counts(why['checks'])} | {why_not(leg, name)} |"


def why_not(leg: Leg, name: str) -> str:
    """Why a scenario does not pass; empty where that would be a fault."""
    if name in _WHY:
        return _WHY[name]
    if not leg.name.startswith("gateway "):
        return ""
    return _BETWEEN.get(name, "") or (_BRIDGED.get(name, "") if leg.name == "gateway 2026-07-28 to 2025-11-25" else "")


def _counts(checks: Mapping[str, int]) -> str:
    words = {"SUCCESS": "succeeded", "FAILURE": "failed", "WARNING": "warned", "SKIPPED": "skipped"}
    return ", ".join(f"{checks[status]} {word}" for status, word in words.items() if status in checks) or "none ran"


if __name__ == "__main__":
    print(page(), end="")
