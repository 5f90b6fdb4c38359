"""The goals for speed and size, and what one run says about them. A figure that was not taken is null, never a guess."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .load import Sample

# Subject, shape, connections.
Figures = Mapping[tuple[str, str, int], Sample]

SMALL, MIDDLE, LARGE, LIST = "300 B", "2 KB", "100 KB", "tools/list, 500"


class Once(NamedTuple):
    """What is measured outside the rounds."""

    commit_ms: float | None = None
    ready_s: float | None = None
    idle_mb: float | None = None
    import_s: float | None = None
    import_cli_s: float | None = None
    token_us: float | None = None


class Goal(NamedTuple):
    id: str
    goal: str
    target: float
    value: float | None
    note: str = ""
    at_least: bool = False
    """The target is a lower bound. Most are upper ones."""
    group: str = "gateways"

    def told(self) -> dict[str, Any]:
        """As it is written."""
        value = None if self.value is None else round(self.value, 3)
        met = None if value is None else (value >= self.target if self.at_least else value <= self.target)
        told = {"id": self.id, "goal": self.goal, "target": round(self.target, 3), "value": value, "met": met}
        more = {"note": self.note, "at_least": self.at_least, "group": "" if self.group == "gateways" else self.group}
        return told | {key: said for key, said in more.items() if said}


def goals(figures: Figures, once: Once) -> list[dict[str, Any]]:
    """M1 to M10."""
    rows = [*_hop(figures), *_payloads(figures), *_latency(figures, once), *_lists(figures), *_start(once)]
    rows += [*_peers(figures), *_servers(figures)]
    return [goal.told() for goal in sorted(rows, key=lambda goal: (int(goal.id.strip("Mabcd")), goal.id))]


def _cpu(figures: Figures, one: tuple[str, str, int], other: tuple[str, str, int]) -> float | None:
    a, b = figures.get(one), figures.get(other)
    return None if a is None or b is None or not b.cpu_us else a.cpu_us / b.cpu_us


def _hop(figures: Figures) -> list[Goal]:
    def ratio(name: str, other: str, connections: int) -> float | None:
        return _cpu(figures, (name, SMALL, connections), (other, SMALL, connections))

    return [
        Goal("M1a", "CPU without durable commits, x nginx, 16 connections", 3, ratio("memory", "nginx", 16)),
        Goal("M1b", "CPU with two durable commits per call, x nginx, 64 connections", 6, ratio("durable", "nginx", 64)),
        Goal("M2", "CPU without durable commits, x Envoy mcp_router", 1, ratio("memory", "envoy", 16)),
        Goal(
            "M5a", "CPU with durable audit, x the official SDK called directly", 0.4, ratio("durable", "official", 16)
        ),
        Goal("M5b", "CPU without durable commits, x the same", 0.2, ratio("memory", "official", 16)),
    ]


def _payloads(figures: Figures) -> list[Goal]:
    own = _cpu(figures, ("durable", MIDDLE, 16), ("durable", SMALL, 16))
    large = _cpu(figures, ("durable", LARGE, 16), ("official", LARGE, 16))
    return [
        Goal("M6a", "CPU of 2 KB, x our 300 B", 1.5, own),
        Goal("M6b", "CPU of 100 KB, x the official SDK called directly", 0.75, large),
    ]


def _latency(figures: Figures, once: Once) -> list[Goal]:
    direct, nginx, ours = (figures.get((name, SMALL, 1)) for name in ("direct", "nginx", "durable"))
    nginx_16, ours_16 = figures.get(("nginx", SMALL, 16)), figures.get(("durable", SMALL, 16))
    added_text = "added p50 at one connection, in ms, within 3 x nginx's + two bare commits"
    p99_text = "p99 at 16 connections, in ms, within 3 x nginx's + two bare commits"
    rows: list[Goal] = []
    if direct and nginx and ours and once.commit_ms is not None:
        target = 3 * (nginx.p50_ms - direct.p50_ms) + 2 * once.commit_ms
        rows.append(Goal("M7a", added_text, target, ours.p50_ms - direct.p50_ms))
    if nginx_16 and ours_16 and once.commit_ms is not None:
        rows.append(Goal("M7b", p99_text, 3 * nginx_16.p99_ms + 2 * once.commit_ms, ours_16.p99_ms))
    return rows


def _lists(figures: Figures) -> list[Goal]:
    ratio = _cpu(figures, ("durable", LIST, 16), ("nginx", LIST, 16))
    return [Goal("M9a", "CPU of tools/list with 500 tools, x nginx", 2, ratio)]


def _start(once: Once) -> list[Goal]:
    # The root imports nothing yet, which is easily done: what a verb of the command line imports is told beside it.
    verb = "" if once.import_cli_s is None else f"douane.cli: {once.import_cli_s:.2f}"
    return [
        Goal("M10a", "seconds from start to ready with ten upstreams", 1, once.ready_s),
        Goal("M10b", "CPU seconds to import douane", 0.25, once.import_s, verb),
        Goal("M10c", "resident MB when idle, ten upstreams", 80, once.idle_mb),
        Goal("M10d", "µs to know a token of 1 KB that was verified before", 2, once.token_us),
    ]


def _peers(figures: Figures) -> list[Goal]:
    def faster(name: str) -> float | None:
        ours, theirs = figures.get(("durable", SMALL, 64)), figures.get((name, SMALL, 64))
        return ours.calls_per_s / theirs.calls_per_s if ours and theirs else None

    def goal(id_: str, peer: str, target: float, value: float | None, what: str = "") -> Goal:
        text = what or f"calls/s with durable audit, 64 connections, x {peer}"
        return Goal(id_, text, target, value, at_least=True, group="peers")

    listed = _cpu(figures, ("fastmcp", LIST, 16), ("durable", LIST, 16))
    return [
        goal("M3a", "FastMCP proxy, connected", 25, faster("fastmcp")),
        goal("M3b", "FastMCP `create_proxy(url)`", 500, faster("fastmcp-url")),
        goal("M4a", "mcp-proxy", 8, faster("mcp-proxy")),
        goal("M4b", "supergateway", 8, faster("supergateway")),
        goal("M4c", "ContextForge, stateful", 100, faster("contextforge")),
        goal("M9b", "", 100, listed, "CPU of FastMCP proxy's tools/list with 500 tools, x ours with durable audit"),
    ]


def _servers(figures: Figures) -> list[Goal]:
    def ratio(name: str, other: str) -> float | None:
        return _cpu(figures, (name, SMALL, 16), (other, SMALL, 16))

    def goal(id_: str, text: str, target: float, value: float | None, at_least: bool) -> Goal:
        return Goal(id_, text, target, value, at_least=at_least, group="servers")

    http, stdio = ratio("official-async", "own"), ratio("official-stdio", "own-stdio")
    return [
        goal("M8a", "CPU of a server on mcp 2.3.0 over HTTP, x one on our SDK", 8, http, at_least=True),
        goal("M8b", "the same over stdio", 20, stdio, at_least=True),
        goal(
            "M8c",
            "CPU of a server on our SDK over stdio, x one on the TypeScript SDK 1.32",
            1,
            ratio("own-stdio", "typescript-stdio"),
            at_least=False,
        ),
    ]
