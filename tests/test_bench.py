"""The measurements themselves are measured elsewhere; here is what they say about what they found."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.started import Program, Started

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _bench_is_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(ROOT))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "bench"]:
        del sys.modules[name]


def test_a_goal_is_met_at_its_bound_missed_above_it_and_open_without_a_figure() -> None:
    from bench.goals import Goal

    assert [Goal("M", "", 2, value).told()["met"] for value in (2.0, 2.1, None)] == [True, False, None]


def test_goals_are_ratios_of_subjects_under_the_same_load() -> None:
    from bench.goals import LIST, SMALL, Once, goals
    from bench.load import Sample

    def sample(cpu_us: float, p50_ms: float) -> Sample:
        return Sample(1000, 1000, cpu_us, p50_ms, 10 * p50_ms, 50)

    figures = {
        (name, load, connections): sample(cpu_us, p50_ms)
        for name, cpu_us, p50_ms in (
            ("direct", 5, 1),
            ("nginx", 10, 2),
            ("memory", 25, 3),
            ("durable", 70, 5),
            ("official", 350, 9),
        )
        for load in (SMALL, LIST)
        for connections in (1, 16, 64)
    }
    told = {goal["id"]: (goal["target"], goal["value"], goal["met"]) for goal in goals(figures, Once(commit_ms=0.5))}
    assert told["M1a"] == (3, 2.5, True)
    assert told["M1b"] == (6, 7, False)
    assert told["M5a"] == (0.4, 0.2, True)
    assert told["M7a"] == (4, 4, True)
    assert told["M7b"] == (61, 50, True)
    assert told["M9a"] == (2, 7, False)
    assert told["M6b"] == (0.75, None, None)


def test_a_goal_beside_a_peer_is_a_lower_bound_on_how_much_faster_we_are() -> None:
    from bench.goals import LIST, SMALL, Goal, Once, goals
    from bench.load import Sample

    assert [Goal("M", "", 8, value, at_least=True).told()["met"] for value in (8.0, 7.9, None)] == [True, False, None]

    def sample(cpu_us: float, calls_per_s: float) -> Sample:
        return Sample(1000, calls_per_s, cpu_us, 1, 2, 50)

    figures = {
        ("durable", SMALL, 64): sample(80, 10_000),
        ("fastmcp", SMALL, 64): sample(1_700, 500),
        ("mcp-proxy", SMALL, 64): sample(600, 1_000),
        ("durable", LIST, 16): sample(100, 8_000),
        ("fastmcp", LIST, 16): sample(60_000, 10),
        ("own", SMALL, 16): sample(20, 20_000),
        ("official-async", SMALL, 16): sample(180, 3_000),
        ("own-stdio", SMALL, 16): sample(12, 40_000),
        ("typescript-stdio", SMALL, 16): sample(10, 50_000),
    }
    told = {goal["id"]: (goal["target"], goal["value"], goal["met"]) for goal in goals(figures, Once())}
    assert told["M3a"] == (25, 20, False)
    assert told["M3b"] == (500, None, None)
    assert told["M4a"] == (8, 10, True)
    assert told["M9b"] == (100, 600, True)
    assert told["M8a"] == (8, 9, True)
    assert told["M8c"] == (1, 1.2, False)


def test_a_run_without_the_peers_keeps_what_the_last_one_with_them_found_on_the_same_machine() -> None:
    from bench.merge import merged

    def run(machine: str, when: str, cpu_us: int, **peers: Any) -> dict[str, Any]:
        return {
            "machine": machine,
            "when": when,
            "gateways": [{"name": "durable", "group": "gateways", "cpu_us": cpu_us}, *peers.get("rows", ())],
            "absent": [],
            "goals": [
                {"id": "M1", "value": cpu_us},
                {"id": "M3", "group": "peers", "value": peers.get("value")},
            ],
        }

    old = run("m", "Monday", 1, rows=[{"name": "fastmcp", "group": "peers", "cpu_us": 9}], value=30)
    new = run("m", "Tuesday", 2)
    tuesday = merged(new, old)
    assert tuesday["gateways"] == [
        {"name": "durable", "group": "gateways", "cpu_us": 2},
        {"name": "fastmcp", "group": "peers", "cpu_us": 9, "when": "Monday"},
    ]
    assert tuesday["goals"] == [
        {"id": "M1", "value": 2},
        {"id": "M3", "group": "peers", "value": 30, "when": "Monday"},
    ]
    wednesday = merged(run("m", "Wednesday", 3), tuesday)
    assert wednesday["gateways"][1]["when"] == "Monday"
    assert merged(run("another", "Tuesday", 2), old) == run("another", "Tuesday", 2)
    assert merged(new, None) == new


def test_the_scoreboard_says_what_is_not_met_and_what_was_not_measured(tmp_path: Path) -> None:
    from bench.score import page, results, rows

    def goal(name: str, value: float | None, met: bool | None, **more: str) -> dict[str, object]:
        return {"id": name, "goal": "g", "target": 3, "value": value, "met": met, **more}

    folder = tmp_path / "bench" / "results"
    folder.mkdir(parents=True)
    found = [goal("M10", 2, True), goal("M2", None, None, note="no peer"), goal("M1", 7.5, False)]
    (folder / "latest.json").write_text(json.dumps({"machine": "m", "when": "w", "goals": found}))
    lines = page(rows(results(tmp_path))).splitlines()
    assert "1 met, 1 not met, 1 not measured." in lines
    assert lines[-3:] == [
        "| M1 | g | 3 | 7.5 | **not met** | w | m |",
        "| M2 | g | 3 | no peer | – | w | m |",
        "| M10 | g | 3 | 2 | yes | w | m |",
    ]


def test_the_scoreboard_tells_a_lower_bound_and_a_goal_that_is_older_than_its_file(tmp_path: Path) -> None:
    from bench.score import page, results, rows

    folder = tmp_path / "bench" / "results"
    folder.mkdir(parents=True)
    goal = {"id": "M3", "goal": "g", "target": 25, "value": 30, "met": True, "at_least": True, "when": "Monday"}
    (folder / "latest.json").write_text(json.dumps({"machine": "m", "when": "Tuesday", "goals": [goal]}))
    assert page(rows(results(tmp_path))).splitlines()[-1] == "| M3 | g | ≥ 25 | 30 | yes | Monday | m |"


def test_a_results_file_that_lacks_something_is_named(tmp_path: Path) -> None:
    from bench.score import Unreadable, results, rows

    folder = tmp_path / "tests" / "security"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text('{"goals": []}')
    with pytest.raises(Unreadable, match=r"results\.json: KeyError"):
        rows(results(tmp_path))


def test_results_that_are_held_against_no_goal_are_passed_over(tmp_path: Path) -> None:
    from bench.score import results, rows

    folder = tmp_path / "tests" / "interop"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text('{"frameworks": {}}')
    assert rows(results(tmp_path)) == []


def test_the_table_replaces_what_stands_between_the_marks_and_nothing_else(tmp_path: Path) -> None:
    from bench.table import readme_with

    page = tmp_path / "README.md"
    page.write_text("a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n")
    assert readme_with(page, "new")
    assert page.read_text() == "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n"
    page.write_text("no marks")
    assert not readme_with(page, "new")
    assert page.read_text() == "no marks"


def test_peers_have_a_compact_table_of_their_own_that_says_what_was_not_measured_and_why() -> None:
    from bench.table import table

    def row(name: str, group: str, connections: int, cpu_us: float) -> dict[str, Any]:
        about = {"name": name, "says": name.upper(), "group": group, "load": "300 B", "connections": connections}
        return about | {"x_nginx": 2, "cpu_us": cpu_us, "calls_per_s": 1234, "p50_ms": 1.5, "p99_ms": 3, "rss_mb": 60}

    document = {
        "machine": "m",
        "when": "Tuesday",
        "gateways": [row(*key) for key in (("nginx", "gateways", 64, 15), ("slow", "peers", 16, 900.4))],
        "absent": [
            {"says": "GONE", "group": "peers", "load": None, "why": "not installed: no wheel"},
            {"says": "SLOW", "group": "peers", "load": "2 KB", "connections": 16, "why": "no answer in 2 s"},
        ],
        "goals": [{"id": "M4", "goal": "g", "target": 8, "value": 9, "met": True, "at_least": True}],
    }
    document["gateways"] += [row("slow", "peers", 64, 1100), row("nginx", "gateways", 16, 14)]
    lines = table(document).splitlines()
    assert [line for line in lines if "SLOW" in line] == [
        "| SLOW | 900 | 1,234 | 1.50 | 60 |",
        "SLOW, 2 KB, 16: not measured here: no answer in 2 s",
    ]
    assert "| | CPU µs/call, 300 B, 16 | calls/s, 300 B, 64 | p50 ms | RSS MB |" in lines
    assert "| NGINX | 14 | 1,234 | 1.50 | 60 |" in lines
    assert "GONE: not measured here: not installed: no wheel" in lines
    assert "| M4 | g | ≥ 8 | 9 | yes |" in lines


def test_every_subject_is_listed_and_only_gateways_are_in_a_run_without_the_peers() -> None:
    from bench.rounds import SHAPES
    from bench.run import choose
    from bench.subjects import SUBJECTS

    said = subprocess.run(
        [sys.executable, "-m", "bench.run", "--list"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert [line.split()[:2] for line in said.splitlines()] == [[one.name, one.group] for one in SUBJECTS]
    assert {one.group for one in SUBJECTS} == set(SHAPES)
    assert {one.group for one in choose("", peers=False)} == {"gateways"}
    assert choose("", peers=True) == list(SUBJECTS)
    assert [one.name for one in choose("nginx,own", peers=False)] == ["nginx", "own"]
    with pytest.raises(ValueError, match="no such subject: apache"):
        choose("nginx,apache", peers=False)


def test_a_peer_that_is_not_there_is_left_out_with_the_reason_and_what_must_be_there_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import started
    from bench.rounds import give_up

    monkeypatch.setattr(started, "BUILD", tmp_path)
    peer = started.Subject("peer", "", lambda folder, ports: started.Program([]), "peers", tmp_path / "peer" / "python")
    absent: dict[Any, str] = {}
    for said in ("", "\nWARNING: x\nerror: no wheel at https://host/simple for /usr/bin/python\n  Caused by: y\n"):
        if said:
            (tmp_path / "peer.failed").write_text(said)
        with pytest.raises(started.CannotMeasure) as failed:
            started.started(peer, tmp_path / "run", 1)
        give_up(peer, None, failed.value, absent)
        expected = "error: no wheel at … for …" if said else "`make bench BENCH=--peers` does that"
        assert absent == {("peer", None): f"not installed: {expected}"}
    with pytest.raises(started.CannotMeasure):
        give_up(peer._replace(needs=None), None, failed.value, absent)


def test_what_is_installed_is_pinned_by_digests_and_names_no_address() -> None:
    locks = ROOT / "bench" / "locks"
    for lock in locks.glob("*.lock"):
        entries = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", lock.read_text(), re.MULTILINE | re.DOTALL)
        assert entries, lock.name
        assert all("==" in entry and "--hash=sha256:" in entry and "://" not in entry for entry in entries), lock.name
    packages = json.loads((locks / "package-lock.json").read_text())["packages"]
    assert all("integrity" in about and "resolved" not in about for name, about in packages.items() if name)


def _started(line: Sequence[str], folder: Path, **how: Any) -> "Started":
    from bench.started import Program, Subject, started

    def program(_: Path, ports: Any) -> "Program":
        return Program([sys.executable, *(str(ports.own) if word == "PORT" else word for word in line)], **how)

    return started(Subject("subject", "", program), folder, 1)


OWN = str(ROOT / "bench" / "own_server.py")


def test_a_server_on_standard_streams_is_called_and_every_answer_counted(tmp_path: Path) -> None:
    from bench.calls import Shape, probe
    from bench.line_load import drive
    from bench.started import HANDSHAKE

    subject = _started([OWN, "stdio", "0", "3"], tmp_path / "run", revision=HANDSHAKE, stdio=True)
    shape = Shape("300 B", "tools/call", 300, 16)
    try:
        answer_bytes = probe(subject, shape)
        said = drive(subject, shape, 0.1)
        assert said["calls"] >= 16
        # Some ids are shorter than that of the one that was looked at.
        assert said["calls"] * (answer_bytes - 3) <= said["bytes"] <= said["calls"] * answer_bytes
    finally:
        subject.stop()


def test_a_server_of_the_handshake_is_called_in_as_many_sessions_as_there_are_connections(tmp_path: Path) -> None:
    from bench.calls import Shape, opened, probe
    from bench.started import HANDSHAKE, CannotMeasure

    subject = _started([OWN, "http", "PORT", "3"], tmp_path / "run", revision=HANDSHAKE)
    try:
        probe(subject, Shape("300 B", "tools/call", 300, 16))
        assert len(set(opened(subject, 3))) == 3
        # Three tools are not the five hundred that are measured.
        with pytest.raises(CannotMeasure, match="subject answers tools/list with 200"):
            probe(subject, Shape("tools/list", "tools/list", 0, 16))
    finally:
        subject.stop()


def test_a_server_that_ends_instead_of_answering_is_not_measured(tmp_path: Path) -> None:
    from bench.calls import Shape, probe
    from bench.started import HANDSHAKE, CannotMeasure

    subject = _started(["-c", "input()"], tmp_path / "run", revision=HANDSHAKE, stdio=True)
    try:
        with pytest.raises(CannotMeasure, match="its line has ended"):
            probe(subject, Shape("300 B", "tools/call", 300, 16))
    finally:
        subject.stop()


def test_an_answer_is_read_from_a_body_or_from_the_last_event_of_a_stream() -> None:
    from bench.calls import result_of

    assert result_of(b'{"jsonrpc":"2.0","id":1,"result":{"a":1}}') == {"a": 1}
    assert result_of(b'event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{"a":1}}\n\n') == {"a": 1}
    with pytest.raises(KeyError):
        result_of(b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"data: x"}}')


def test_what_idle_clients_cost_is_told_for_each_and_against_its_goal() -> None:
    from bench.held import Held, goals

    told = [goal.told() for goal in goals(Held(1.0, 0.0), Held(41.0, 0.0), Held(9.0, 0.25))]
    assert [(goal["id"], goal["value"], goal["met"]) for goal in told] == [
        ("G20a", 1.0, True),
        ("G20b", 41.0, False),
        ("G20c", 9.0, True),
        ("G20d", 0.25, True),
    ]
