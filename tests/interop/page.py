"""docs/frameworks.md: what `make interop` wrote down, and of every program the lines that point it at the gateway.

`python -m interop.page`, in the folder of the tests, writes the page to stdout; `test_page` fails when the page says
anything else.
"""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .frameworks import FRAMEWORKS, ROOT, Framework
from .judge import FAILED, NOT_OFFERED, QUESTIONS
from .run import RESULTS

PAGE = ROOT / "docs" / "frameworks.md"
POINTING = ("over_http", "over_stdio", "tools")
_OURS = ("ask", "asyncio")


def page() -> str:
    told = json.loads(RESULTS.read_text())
    return "\n".join(_lines(told["date"], told["frameworks"])) + "\n"


def _lines(date: str, found: Mapping[str, Any]) -> Iterator[str]:
    yield "# How do I point an agent framework at the gateway?"
    yield ""
    yield "By its URL and the token, or by a command (`douane stdio`); the lines for each framework are below. They are those of"
    yield "the programs in `tests/interop`, which `make interop` runs: every framework lists the tools of one real gateway with"
    yield "its own MCP client, calls four of them, and reads a resource and a prompt where it can, over Streamable HTTP and over"
    yield f"`douane stdio`. No model takes part. Last run {date}:"
    yield ""
    yield "| framework | package | on mcp | speaks | over | " + " | ".join(QUESTIONS) + " |"
    yield "|---" * (5 + len(QUESTIONS)) + "|"
    for framework in FRAMEWORKS:
        yield from _rows(framework, found[framework.name])
    yield ""
    yield "What the words mean:"
    yield ""
    yield "- tools: the list is that of the gateway, name by name. Where `-` becomes `_`, a model is shown, and an agent is told,"
    yield "  the tool under that name; policies and the audit log say the gateway's."
    yield "- structured: the result came as an object; `as text`: as JSON in a text, which is how the framework shows it."
    yield "- error, the result of a tool that says it failed: `raised` as an exception, `marked` as an error in what is returned,"
    yield "  or `as any text`, so that neither program nor model is told that it is one."
    yield "- refused, a call that no rule permits: the same words. In each, the text has the command that would allow it."
    yield f"- `{NOT_OFFERED}`: its MCP client knows no such thing."
    yield "- speaks: the revision over Streamable HTTP."
    yield ""
    yield "`url` is `http://127.0.0.1:8440/mcp`, or `/mcp/NAME` for a [virtual server](virtual-servers.md); `token` is what stands in"
    yield "`~/.config/douane/token`. `command` and `arguments` are `douane` and `stdio`, `--config`, the file; the official SDK, on"
    yield "which most of these start a command, hands it few of your variables (`HOME`, `PATH`): with `DOUANE_HOME` of your own,"
    yield "set it in the framework's `env` as well. How [other clients](clients.md) are connected."
    yield ""
    yield "With a wrong token, those on mcp 2 say what the gateway says (`client: this token is not known here`). LangChain says"
    yield "that the status was 401, BeeAI that its session was destroyed, and CrewAI, which goes by `mcpadapt`, that it could not"
    yield "connect after 30 seconds: the 401 is in what it prints before."
    for framework in FRAMEWORKS:
        if not framework.lock.exists():
            continue
        yield ""
        yield f"## {framework.title}"
        yield ""
        yield "```python"
        yield from pointing(framework.program.read_text())
        yield "```"


def _rows(framework: Framework, one: Mapping[str, Any]) -> Iterator[str]:
    package, version = next(iter(one["versions"].items()))
    head = [framework.title, f"{package} {version}", one["versions"].get("mcp", "")]
    if "not installed" in one:
        yield _row([*head, "", "", f"could not be installed: {_short(one['not installed'])}", *[""] * 5])
        return
    for door, cells in one["doors"].items():
        speaks = ", ".join(one["wire"]["revisions"]) if door == "http" else ""
        yield _row([*head, speaks, door, *(_short(cells[question]) for question in QUESTIONS)])
        head = ["", "", ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _short(word: str) -> str:
    """In one line of a table."""
    plain = " ".join(word.replace("|", "\\|").split())
    return plain if len(plain) <= 120 or not word.startswith(FAILED) else plain[:120] + "…"


def pointing(source: str) -> Iterator[str]:
    """What a program imports of the framework, and how it is told of each door."""
    tree = ast.parse(source)
    lines = source.splitlines()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module not in _OURS:
            yield from lines[node.lineno - 1 : node.end_lineno]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in POINTING:
            yield from ("", "", *lines[node.lineno - 1 : node.end_lineno])


if __name__ == "__main__":
    print(page(), end="")
