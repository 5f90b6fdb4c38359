"""Virtual servers before servers this project did not write, asked by clients it did not write, by every door."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateway_clients import until_ready
from gateway_world import Gateway, gateway

from .commands import CLIENTS, asked, asking
from .questions import SERVERS, lay_out

pytestmark = [pytest.mark.counterpart, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ALL = {"tools": ["*"], "resources": ["*"], "prompts": ["*"]}
WHO = pytest.mark.parametrize(("client", "mode"), [("py2", "auto"), ("py2", "legacy"), ("ts1", None)])
DOORS = pytest.mark.parametrize("door", ["http", "stdio"])
STATIC = "demo://resource/static/document/"
TEMPLATE = "demo://resource/dynamic/text/{resourceId}"

SERVED = {
    "reading": {
        "select": {
            "files": {"tools": ["read_*", "list_directory"]},
            "git": {"tools": ["git_log"]},
            "time": {"tools": ["get_current_time"]},
        }
    },
    "demo": {
        "select": {
            "everything": {
                "tools": ["echo"],
                "prompts": ["completable-prompt"],
                "resources": [STATIC + "features.md"],
                "templates": [TEMPLATE],
            },
        }
    },
}
WORDS = {"git_log": {"as": "history", "description": "Commits, newest first."}, "git_reset": {"hide": True}}


class Place:
    def __init__(self, files: Path, running: Gateway) -> None:
        self.files, self.running = files, running

    async def ask(self, client: str, mode: str | None, door: str, server: str, *calls: Any) -> Any:
        """What a client says of a virtual server, or of the whole, and of these calls."""
        config = str(self.running.world.config)
        where: dict[str, Any] = {
            "url": f"http://127.0.0.1:{self.running.port}/mcp{server and '/'}{server}",
            "token": self.running.token,
        }
        if door == "stdio":
            named = ["--server", server] if server else []
            where = {"stdio": [sys.executable, "-m", "douane", "stdio", "--config", config, *named]}
        line = asking(CLIENTS[client](), calls=calls, mode=mode, **where)
        document = await asked(line, env=self.running.world.env)
        assert "error" not in document, document["error"]
        return document


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    files = tmp_path_factory.mktemp("virtual")
    lay_out(files)
    upstreams: dict[str, Any] = {
        name: {"command": SERVERS[name].command(files), "reads": ALL} for name in ("everything", "files", "git", "time")
    }
    upstreams["twin"] = upstreams["everything"]
    upstreams["git"]["tools"] = WORDS
    async with gateway(files / "home", upstreams, servers=SERVED) as running:
        await until_ready(running)
        yield Place(files, running)


def fault(answer: Any, name: str) -> tuple[int, str]:
    return answer["error"]["code"], answer["error"]["message"].replace(name, "NAME")


@WHO
@DOORS
async def test_an_official_client_gets_the_selection_and_nothing_else(
    place: Place, client: str, mode: str | None, door: str
) -> None:
    repository, note = str(place.files / "repository"), str(place.files / "files" / "still" / "note.txt")
    hidden = ("git_git_log", "git_git_reset", "git_git_status", "files_write_file", "everything_echo", "nothing")
    document = await place.ask(
        *(client, mode, door, "reading"),
        {"name": "history", "arguments": {"repo_path": repository}},
        {"name": "files_read_text_file", "arguments": {"path": note}},
        *({"name": name, "arguments": {}} for name in hidden),
    )
    names = [tool["name"] for tool in document["tools"]]
    assert set(names) >= {"files_read_text_file", "files_list_directory", "history", "time_get_current_time"}
    assert all(n.startswith(("files_read_", "files_list_directory")) for n in names[:-2])
    assert names[-2:] == ["history", "time_get_current_time"]
    assert next(t for t in document["tools"] if t["name"] == "history")["description"] == "Commits, newest first."
    log, text, *unknown = document["calls"]
    assert "The second: a move" in json.dumps(log["result"])
    assert "first line" in json.dumps(text["result"])
    said = {fault(answer, name) for answer, name in zip(unknown, hidden, strict=True)}
    assert len(said) == 1
    assert next(iter(said))[0] == -32602
    # Nothing of these is selected, so it is not even a thing this server knows of.
    assert not document.get("prompts")
    assert not document.get("resources")


@WHO
@DOORS
async def test_reads_prompts_and_completions_know_the_selection_only(
    place: Place, client: str, mode: str | None, door: str
) -> None:
    own = "douane+everything:"
    there = [
        {"method": "resources/read", "uri": f"{own}{STATIC}features.md"},
        {"method": "resources/read", "uri": f"{own}demo://resource/dynamic/text/1"},
        {
            "method": "prompts/get",
            "name": "everything_completable-prompt",
            "arguments": {"department": "Sales", "name": "x"},
        },
        complete("everything_completable-prompt"),
    ]
    unselected = ("instructions.md", "startup.md", "nothing.md")
    away = [
        *({"method": "resources/read", "uri": f"{own}{STATIC}{name}"} for name in unselected),
        {"method": "resources/read", "uri": f"{own}demo://resource/dynamic/blob/1"},
        {"method": "resources/read", "uri": f"douane+twin:{STATIC}features.md"},
        {"method": "prompts/get", "name": "everything_simple-prompt"},
        {"method": "prompts/get", "name": "twin_completable-prompt"},
        complete("everything_args-prompt"),
    ]
    document = await place.ask(client, mode, door, "demo", *there, *away)
    assert [r["uri"] for r in document["resources"]] == [f"{own}{STATIC}features.md"]
    assert [t["uriTemplate"] for t in document["resourceTemplates"]] == [f"{own}{TEMPLATE}"]
    assert [p["name"] for p in document["prompts"]] == ["everything_completable-prompt"]
    answers = document["calls"]
    assert ["result" in answer for answer in answers[: len(there)]] == [True] * len(there), answers
    codes = [unread(mode) if "uri" in asked else -32602 for asked in away]
    assert [answer["error"]["code"] for answer in answers[len(there) :]] == codes
    words = {fault(a, n)[1].replace(n, "") for a, n in zip(answers[len(there) :], unselected, strict=False)}
    assert len(words) == 1


def unread(mode: str | None) -> int:
    """The code for a resource that is not there: until 2026-07-28 it had one of its own."""
    return -32602 if mode == "auto" else -32002


def complete(prompt: str) -> Any:
    ref, argument = {"type": "ref/prompt", "name": prompt}, {"name": "department", "value": "S"}
    return {"method": "completion/complete", "ref": ref, "argument": argument, "context": None}


@WHO
@DOORS
async def test_a_uri_that_two_servers_have_is_read_at_both(
    place: Place, client: str, mode: str | None, door: str
) -> None:
    plain = STATIC + "features.md"
    uris = [f"douane+{upstream}:{plain}" for upstream in ("everything", "twin")]
    dynamic = [f"douane+{upstream}:demo://resource/dynamic/text/7" for upstream in ("everything", "twin")]
    ref = {"type": "ref/resource", "uri": f"douane+twin:{TEMPLATE}"}
    completion = {
        "method": "completion/complete",
        "ref": ref,
        "argument": {"name": "resourceId", "value": "3"},
        "context": None,
    }
    reads = [{"method": "resources/read", "uri": uri} for uri in (*uris, *dynamic, plain)]
    document = await place.ask(client, mode, door, "", *reads, completion)
    assert set(uris) <= {resource["uri"] for resource in document["resources"]}
    first, second, seven, also_seven, unknown, completed = document["calls"]
    assert first["result"]["contents"] == second["result"]["contents"]
    assert first["result"]["contents"][0]["uri"] == plain
    for answer in (seven, also_seven):
        assert "Resource 7" in json.dumps(answer["result"])
    assert unknown["error"]["code"] == unread(mode)
    assert all(uri in unknown["error"]["message"] for uri in uris)
    assert "result" in completed, completed


async def test_a_list_through_a_virtual_server_is_the_same_every_time(place: Place) -> None:
    first, again = [await place.ask("py2", "auto", "http", "reading") for _ in range(2)]
    assert first["tools"] == again["tools"]
