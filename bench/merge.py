"""What a run without the peers keeps of what an earlier run says about them."""

from typing import Any


def merged(new: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
    """The new run, with the peers of the old one, if that was on the same machine; each part tells when it was measured.

    Goals are kept whole and never worked out anew: a ratio holds within one run only.
    """
    if old is None or old["machine"] != new["machine"]:
        return new
    kept = {
        part: [_dated(one, old) for one in old.get(part, ()) if _of_peers(one)]
        for part in ("gateways", "absent", "goals")
    }
    goals = {goal["id"]: goal for goal in kept["goals"]}
    return {
        **new,
        "gateways": [*new["gateways"], *kept["gateways"]],
        "absent": [*new["absent"], *kept["absent"]],
        "goals": [goals.get(goal["id"], goal) if _of_peers(goal) else goal for goal in new["goals"]],
    }


def _of_peers(one: dict[str, Any]) -> bool:
    return one.get("group", "gateways") != "gateways"


def _dated(one: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    return {"when": old["when"], **one}
