"""`make conformance`: every leg of the suite, the controls that must fail, and what it all came to.

Writes `results.json`. A run in which something fails that passed in the one before writes nothing and fails; so does
one whose controls pass.
"""

import asyncio
import json
import platform
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from . import suite, tally
from .between import gateway

__all__ = ["CONTROLS", "LEGS", "RESULTS", "Leg", "goals", "main"]

RESULTS = suite.HERE / "results.json"
HANDSHAKE, MODERN = "2025-11-25", "2026-07-28"
_FIXTURE = suite.program("conformance.fixture", "http", "0")
_BROKEN = suite.program("conformance.fixture", "broken", "0")
_CLIENT = suite.program("conformance.client")
_BETWEEN = suite.program("conformance.client", "--between")

Served = Callable[[], AbstractAsyncContextManager[str]]
"""What serves at a URL while it is entered."""


class Leg(NamedTuple):
    name: str
    side: str
    """What the suite asks: a `server` or a `client`."""
    revision: str
    says: str
    served: Served | None = None
    """The server that is asked; None: the client is."""
    between: bool = False
    """The gateway is between the client and the suite, and knows nobody that would ask for authorization."""

    def names(self, *, required: bool) -> list[str]:
        names = (tally.required if required else tally.unscored)(self.revision, self.side)
        return [name for name in names if not (self.between and name.startswith("auth/"))]


def _direct() -> AbstractAsyncContextManager[str]:
    return suite.serving(_FIXTURE)


def _older() -> AbstractAsyncContextManager[str]:
    return gateway(handshake=True)


def _newer() -> AbstractAsyncContextManager[str]:
    return gateway(handshake=False)


LEGS: Sequence[Leg] = (
    Leg("server 2025-11-25", "server", HANDSHAKE, "a server, revision 2025-11-25", _direct),
    Leg("server 2026-07-28", "server", MODERN, "a server, revision 2026-07-28", _direct),
    Leg("gateway 2025-11-25", "server", HANDSHAKE, "the gateway, 2025-11-25 on both sides", _older),
    Leg("gateway 2026-07-28", "server", MODERN, "the gateway, 2026-07-28 on both sides", _newer),
    Leg(
        "gateway 2025-11-25 to 2026-07-28",
        "server",
        HANDSHAKE,
        "the gateway, 2025-11-25 in front and 2026-07-28 behind",
        _newer,
    ),
    Leg(
        "gateway 2026-07-28 to 2025-11-25",
        "server",
        MODERN,
        "the gateway, 2026-07-28 in front and 2025-11-25 behind",
        _older,
    ),
    Leg("client 2025-11-25", "client", HANDSHAKE, "a client, revision 2025-11-25"),
    Leg("client 2026-07-28", "client", MODERN, "a client, revision 2026-07-28"),
    Leg(
        "client gateway 2025-11-25",
        "client",
        HANDSHAKE,
        "a client behind the gateway, revision 2025-11-25",
        between=True,
    ),
    Leg(
        "client gateway 2026-07-28", "client", MODERN, "a client behind the gateway, revision 2026-07-28", between=True
    ),
)


@asynccontextmanager
async def _nobody() -> AsyncGenerator[str]:
    """A port where nobody listens."""
    yield f"http://127.0.0.1:{suite.free_port()}/mcp"


class Control(NamedTuple):
    """A server that must not pass."""

    name: str
    served: Served
    fails: frozenset[str] | None
    """The scenarios that must fail; None: every one."""


CONTROLS: Sequence[Control] = (
    Control("nobody listens", _nobody, None),
    Control(
        "a server broken on purpose",
        lambda: suite.serving(_BROKEN),
        frozenset({"tools-list", "tools-call-simple-text", "resources-read-text", "prompts-get-simple"}),
    ),
)


async def run(leg: Leg, into: Path) -> dict[str, dict[str, Any]]:
    """All scenarios of a leg that left something, and those it requires that did not, as they are written."""
    required, unscored = leg.names(required=True), leg.names(required=False)
    if leg.between:
        await suite.ask_client_each(_BETWEEN, leg.revision, required + unscored, into)
    elif leg.served is None:
        await suite.ask_client(_CLIENT, leg.revision, into)
    else:
        async with leg.served() as url:
            await suite.is_alive(url)
            await suite.ask_server(url, leg.revision, into)
    found = tally.scenarios(into, leg.side)
    return {
        name: {"required": name in required, **found.get(name, tally.NEVER_RAN).told()} for name in required + unscored
    }


async def control(one: Control, into: Path) -> list[str]:
    """What passed though it must not."""
    async with one.served() as url:
        await suite.ask_server(url, MODERN, into)
    passed = {name for name, scenario in tally.scenarios(into, "server").items() if scenario.passed}
    if one.fails is None:
        return sorted(passed)
    # One that fails altogether shows no more than a port where nobody listens.
    return sorted(passed & one.fails) or ([] if passed else ["nothing: it did not even serve"])


def goals(legs: tally.Legs) -> list[dict[str, Any]]:
    """Of each leg: how many of the required scenarios pass, and how many of the others."""
    return [goal for number, leg in enumerate(LEGS, 1) for goal in _goals(f"C{number}", leg, legs[leg.name])]


def _goals(id_: str, leg: Leg, told: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for letter, kind, required in (("a", "required", True), ("b", "not scored", False)):
        passed = [one["passed"] for one in told.values() if one["required"] is required]
        goal = f"official conformance suite, {leg.says}: scenarios passed, {kind}"
        bound = {"target": len(passed), "value": sum(passed), "met": all(passed), "at_least": True}
        # Some scenarios of this version of the suite check nothing yet, whatever they are asked.
        skipped = sum(set(one["checks"]) == {"SKIPPED"} for one in told.values() if one["required"] is required)
        note = {"note": f"{skipped} of them only skipped"} if skipped else {}
        yield {"id": id_ + letter, "goal": goal, **bound, **note}


async def main() -> int:
    running = asyncio.current_task()
    assert running is not None
    # Who ends us ends all that runs for us.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    faults: list[str] = []
    legs: dict[str, dict[str, dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="conformance-") as made:
        folder = Path(made)
        try:
            for number, one in enumerate(CONTROLS):
                passed = await control(one, folder / f"control-{number}")
                faults += [f"control {one.name!r} passed {name}" for name in passed]
            for number, leg in enumerate(LEGS):
                legs[leg.name] = await run(leg, _made(folder / f"leg-{number}"))
        except suite.Broken as exc:
            faults.append(str(exc))
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"legs": {}}
    if not faults:
        faults += tally.worse(before["legs"], legs)
    if faults:
        print("\n".join(f"conformance: {fault}" for fault in faults), file=sys.stderr)
        return 1
    for goal in goals(legs):
        print(f"{goal['goal']}: {goal['value']} of {goal['target']}")
    if _counted(legs) != _counted(before["legs"]):
        _write(legs)
    return 0


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _counted(legs: tally.Legs) -> dict[tuple[str, str], Any]:
    # Without the faults, whose words have ports and ids in them.
    return {(leg, name): (told["passed"], told["checks"]) for leg, of in legs.items() for name, told in of.items()}


def _write(legs: tally.Legs) -> None:
    document = {
        "machine": f"suite {suite.version()}, Python {platform.python_version()}",
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "goals": goals(legs),
        "legs": legs,
    }
    RESULTS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
