"""Point every framework at one real gateway, over both doors, and write down what each got: `make interop`.

    python -m interop.run [NAME...]         in the folder of the tests; with names, only these are asked anew

No model is asked anything: each framework lists, calls and reads with its own MCP client. Exit 1 when one of them did
not get what it asked for; one that is not installed is written down as that.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from counterparts.commands import Failed, asked, everything_server, free_port
from gateway_clients import until_ready
from gateway_world import Gateway, gateway

from .frameworks import FRAMEWORKS, HERE, ROOT, Framework
from .judge import FAILED, QUESTIONS, judged
from .relay import Passed, Relay, relay

RESULTS = HERE / "results.json"
TIMEOUT_S = 90.0
ALL = {"tools": ["*"], "resources": ["*"], "prompts": ["*"]}
# Without the one that adds: a rule for it is what the question `refused` has to miss.
READING = {**ALL, "tools": ["borrow", "cover", "find_books", "take_stock"]}
QUIET = {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true"}


class Place:
    """The gateway, its two doors, and the tools it lists."""

    def __init__(self, gate: Gateway, between: Relay, url: str, names: Sequence[str]) -> None:
        self.gate, self.between, self.url, self.names = gate, between, url, names

    def doors(self) -> dict[str, list[str]]:
        joining = [sys.executable, "-m", "douane", "stdio", "--config", str(self.gate.world.config)]
        # The official SDK hands down few variables, and this one not.
        home = f"DOUANE_HOME={self.gate.world.home}"
        return {"http": ["http", self.url, self.gate.token], "stdio": ["stdio", "env", home, *joining]}

    async def said(self, framework: Framework, where: Sequence[str]) -> Any:
        """The document of its program; that there was none is one too."""
        line = [str(framework.python), str(framework.program), *where]
        try:
            return await asked(line, env=self.gate.world.env | QUIET, timeout_s=TIMEOUT_S)
        except Failed as exc:
            return {"whole": {"raised": str(exc)}}


@asynccontextmanager
async def place(home: Path) -> AsyncIterator[Place]:
    upstreams = {
        "everything": {"command": everything_server(), "reads": ALL},
        "library": {"command": [sys.executable, str(ROOT / "docs" / "examples" / "library.py")], "reads": READING},
    }
    port = free_port()
    async with gateway(home, upstreams, listen={"hosts": [f"127.0.0.1:{port}"]}) as gate:
        await until_ready(gate)
        listed = json.loads((await gate.world.run("list", "--json", "--config", str(gate.world.config))).out)
        async with relay(port, gate.port) as between:
            yield Place(gate, between, f"http://127.0.0.1:{port}/mcp", [tool["name"] for tool in listed["tools"]])


async def result(framework: Framework, here: Place) -> dict[str, Any]:
    why = framework.not_installed()
    if why is not None:
        return {"versions": framework.versions(), "not installed": why}
    doors = {door: judged(await here.said(framework, where), here.names) for door, where in here.doors().items()}
    return {"versions": framework.versions(), "doors": doors, "wire": wire(here.between.taken())}


def wire(passed: Passed) -> dict[str, list[str]]:
    return {"revisions": passed.revisions, "methods": passed.methods, "refused": passed.refused}


async def results(names: Sequence[str]) -> dict[str, Any]:
    with TemporaryDirectory() as home:
        async with place(Path(home)) as here:
            return {f.name: await result(f, here) for f in FRAMEWORKS if not names or f.name in names}


def faults(found: Mapping[str, Any]) -> list[str]:
    """What did not work, one a line."""
    return [
        f"{name} over {door}: {question}: {one['doors'][door][question]}"
        for name, one in found.items()
        for door in one.get("doors", ())
        for question in QUESTIONS
        if one["doors"][door][question].startswith(FAILED)
    ]


def main(names: Sequence[str]) -> int:
    found = asyncio.run(results(names))
    kept = json.loads(RESULTS.read_text())["frameworks"] if names and RESULTS.exists() else {}
    told = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "frameworks": kept | found}
    RESULTS.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    for line in faults(found):
        print(line)
    return 1 if faults(found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
