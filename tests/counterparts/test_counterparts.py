"""The counterparts against one another, with nothing of ours between: what they do alone is what they must do through us."""

import subprocess
from pathlib import Path

import pytest

from .commands import (
    CLIENTS,
    Failed,
    asked,
    asking,
    everything_http_server,
    everything_server,
    filesystem_server,
    free_port,
    git_server,
    inspector,
    listening,
    time_server,
)

pytestmark = pytest.mark.counterpart

PARIS = {"name": "get_current_time", "arguments": {"timezone": "Europe/Paris"}}
HANDSHAKE, MODERN = "2025-11-25", "2026-07-28"


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_every_client_reads_the_server_of_everything_over_stdio(client: str) -> None:
    calls = [{"name": "echo", "arguments": {"message": "hi"}}, {"name": "nope", "arguments": {}}]
    said = await asked(asking(CLIENTS[client](), stdio=everything_server(), calls=calls))
    assert said["protocolVersion"] == HANDSHAKE
    assert {tool["name"] for tool in said["tools"]} >= {"echo", "get-sum"}
    assert said["resources"]
    assert said["resourceTemplates"]
    assert said["prompts"]
    echo, nope = said["calls"]
    assert echo["result"]["content"] == [{"type": "text", "text": "Echo: hi"}]
    assert nope["result"]["isError"]


async def test_every_client_reads_the_server_of_everything_over_http(client: str) -> None:
    port = free_port()
    async with listening(everything_http_server(), port):
        call = {"name": "get-sum", "arguments": {"a": 2, "b": 3}}
        said = await asked(asking(CLIENTS[client](), url=f"http://127.0.0.1:{port}/mcp", token="unread", calls=[call]))
    assert said["protocolVersion"] == HANDSHAKE
    assert "5" in said["calls"][0]["result"]["content"][0]["text"]


@pytest.mark.parametrize(
    ("name", "mode", "version"),
    [
        ("ts1", None, HANDSHAKE),
        ("py1", None, HANDSHAKE),
        ("ts2", None, MODERN),
        ("py2", None, MODERN),
        ("ts2", "legacy", HANDSHAKE),
        ("py2", "legacy", HANDSHAKE),
        ("ts2", MODERN, MODERN),
        ("py2", MODERN, MODERN),
    ],
)
async def test_every_client_asks_a_server_of_both_eras_for_the_time(name: str, mode: str | None, version: str) -> None:
    said = await asked(asking(CLIENTS[name](), stdio=time_server(), calls=[PARIS], mode=mode))
    assert said["protocolVersion"] == version
    assert said["calls"][0]["result"]["structuredContent"]["timezone"] == "Europe/Paris"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=10)
    return tmp_path


async def test_the_git_server_tells_the_state_of_a_repository(repository: Path) -> None:
    status = {"name": "git_status", "arguments": {"repo_path": str(repository)}}
    said = await asked(asking(CLIENTS["py2"](), stdio=git_server(repository), calls=[status]))
    assert "No commits yet" in said["calls"][0]["result"]["content"][0]["text"]


async def test_the_file_server_reads_below_its_root_and_nowhere_else(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "note.txt").write_text("seen")
    (tmp_path / "secret.txt").write_text("unseen")
    paths = (inside / "note.txt", tmp_path / "secret.txt")
    calls = [{"name": "read_text_file", "arguments": {"path": str(path)}} for path in paths]
    said = await asked(asking(CLIENTS["ts2"](), stdio=filesystem_server(inside), calls=calls))
    assert said["calls"][0]["result"]["content"][0]["text"] == "seen"
    assert said["calls"][1]["result"]["isError"]


async def test_the_inspector_lists_tools_over_http() -> None:
    port = free_port()
    async with listening(everything_http_server(), port):
        said = await asked(inspector(f"http://127.0.0.1:{port}/mcp", "unread", "tools/list"))
    assert "echo" in {tool["name"] for tool in said["tools"]}


async def test_a_client_that_cannot_connect_says_so(client: str) -> None:
    said = await asked(asking(CLIENTS[client](), url=f"http://127.0.0.1:{free_port()}/mcp"))
    assert said["error"]["message"]
    assert "tools" not in said


async def test_a_counterpart_that_hangs_is_ended_in_time() -> None:
    with pytest.raises(Failed, match="did not finish"):
        await asked(["sleep", "60"], timeout_s=0.2)
