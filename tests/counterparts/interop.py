"""Which clients ask which servers through the gateway, and docs/interop.md, which says so.

`test_through_gateway` runs what stands here; `python -m counterparts.interop`, in the folder of the tests, writes the page
to stdout; `test_interop` fails when the page says anything else.
"""

import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .equal import HOP, WITHHELD
from .questions import SERVERS, Question

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"
HANDSHAKE, MODERN = "2025-11-25", "2026-07-28"


class Asking(NamedTuple):
    """A client in one of its ways of asking."""

    client: str
    mode: str | None
    package: str
    revision: str
    """What it speaks with the gateway."""

    @property
    def doors(self) -> tuple[str, ...]:
        """HTTP+SSE is for the handshake era, and the inspector asks over the two others."""
        return (
            ("http", "stdio", "sse") if self.revision == HANDSHAKE and self.client != "inspector" else ("http", "stdio")
        )

    @property
    def name(self) -> str:
        return self.client if self.mode is None else f"{self.client}-{self.mode}"


ASKING = (
    Asking("py1", None, "mcp 1", HANDSHAKE),
    Asking("py2", "legacy", "mcp", HANDSHAKE),
    Asking("py2", "auto", "mcp", MODERN),
    Asking("ts1", None, "@modelcontextprotocol/sdk", HANDSHAKE),
    Asking("ts2", "legacy", "@modelcontextprotocol/client", HANDSHAKE),
    Asking("ts2", "auto", "@modelcontextprotocol/client", MODERN),
)
INSPECTING = (
    Asking("inspector", "legacy", "@modelcontextprotocol/inspector", HANDSHAKE),
    Asking("inspector", "auto", "@modelcontextprotocol/inspector", MODERN),
)


def versions() -> dict[str, str]:
    """What is pinned, by package; the older Python SDK as `mcp 1`."""
    here = Path(__file__).parent
    pinned: dict[str, str] = json.loads((here / "package.json").read_text())["dependencies"]
    group = tomllib.loads((here.parents[1] / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    pinned |= dict(line.split("==") for line in group if "==" in line)
    older = next(line for line in (here / "mcp1.in").read_text().splitlines() if line.startswith("mcp=="))
    return {**pinned, "mcp 1": older.partition("==")[2]}


def page() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    pinned = versions()
    yield "# What was run against what"
    yield ""
    yield "Every client below asks every server through one real gateway, over its doors, and then the server itself, in the"
    yield "same words. What it gets has to be equal, field by field, order included, but for the fields listed at the end. Lists"
    yield "through the gateway are those of the servers one after the other, by name. `make test` runs it all and holds this"
    yield "page to it; what it runs stands in `tests/counterparts`."
    yield ""
    yield "## Servers"
    yield ""
    yield from _table(
        ("upstream", "package", "the gateway speaks", "over"),
        [
            (name, f"{s.package} {pinned[s.package]}" if s.package else "ours", s.revision, _over(name))
            for name, s in SERVERS.items()
        ],
    )
    yield ""
    yield "## Clients, doors, revisions"
    yield ""
    yield "Each cell: what the client speaks with the gateway → what the gateway speaks with the server."
    yield ""
    yield from _table(
        ("client", "asks", "door", *SERVERS, "everything, by either URL"),
        [_row(who, door, pinned) for who in (*ASKING, *INSPECTING) for door in who.doors],
    )
    yield ""
    yield "## What is asked"
    yield ""
    yield "Lists of tools, resources, templates and prompts, and these calls, some of them several times and some to be refused:"
    yield ""
    yield from _table(("server", "calls"), [(name, _calls(s.ask(Path()))) for name, s in SERVERS.items()])
    yield ""
    yield "The inspector asks for all lists, and makes one call of each server and one of each kind; in its newer way, of tools"
    yield "only."
    yield ""
    yield "## What may differ"
    yield ""
    yield from _table(("in", "field", "because"), [(row.where, f"`{row.field}`", row.why) for row in HOP])
    yield ""
    yield from _table(("server", "tool that is not there", "because"), [(*what, why) for what, why in WITHHELD.items()])
    yield ""
    yield "Besides: names have the prefix; what tells of the moment it was asked at (times, days) is compared by its shape; the"
    yield "last step of progress is not looked for in the TypeScript SDKs, which drop it when it is read together with the"
    yield "result. What does not exist is refused by the gateway itself, in its own words, and no server is asked. Errors of"
    yield "servers pass with their code and message."


def _row(who: Asking, door: str, pinned: dict[str, str]) -> tuple[str, ...]:
    package = who.package.partition(" ")[0]
    cells = [f"{who.revision} → {server.revision}" for server in SERVERS.values()]
    by_url = "not run" if who in INSPECTING else f"{who.revision} → {SERVERS['everything'].revision}"
    return f"{package} {pinned[who.package]}", who.mode or "its only way", door, *cells, by_url


def _over(name: str) -> str:
    return "stdio; Streamable HTTP; HTTP+SSE" if name == "everything" else "stdio"


def _calls(questions: Sequence[Question]) -> str:
    called = [q.call["name"] if "method" not in q.call else f"`{q.call['method']}`" for q in questions]
    return ", ".join(dict.fromkeys(called))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    print(page(), end="")
