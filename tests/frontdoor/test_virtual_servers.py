"""Virtual servers and the operator's words, through every door of a running gateway."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import (
    HttpClient,
    LineClient,
    Message,
    get,
    head,
    http,
    missing_of,
    names_of,
    post,
    request,
    session,
    stdio,
    text_of,
)
from gateway_world import BOUND_S, Gateway, World, gateway, hostile, until, witness

from douane.audit.entry import Intent, Outcome

READING = {"select": {"a": {"tools": ["ech*", "release"]}}}
WORDS = {"echo": {"as": "say", "title": "Say", "description": "Says it again."}, "wait": {"hide": True}}
DOORS = pytest.mark.parametrize("door", ["http", "session", "stdio", "greeted stdio"])


@asynccontextmanager
async def at(running: Gateway, door: str, name: str) -> AsyncIterator[HttpClient | LineClient]:
    """A client of a virtual server, by that door."""
    if "stdio" in door:
        async with stdio(running.world, "--server", name) as line:
            if door == "greeted stdio":
                await line.greet()
            yield line
    else:
        async with (http if door == "http" else session)(running, f"/mcp/{name}") as client:
            yield client


def world(tmp_path: Path, **servers: Any) -> Any:
    upstreams = {"a": witness(tmp_path / "a", "x"), "b": witness(tmp_path / "b", "x")}
    return gateway(tmp_path / "home", upstreams, servers=servers)


def said(answer: Message, name: str) -> tuple[int, str]:
    """The code and the words of an error, without the name that was asked for."""
    error = answer["error"]
    return error["code"], error["message"].replace(name, "NAME")


@DOORS
async def test_what_a_virtual_server_does_not_select_is_not_there(tmp_path: Path, door: str) -> None:
    async with world(tmp_path, reading=READING) as running, at(running, door, "reading") as client:
        listed = await client.ask("tools/list")
        assert (names_of(listed), missing_of(listed)) == (["a_echo", "a_release"], {})
        assert text_of(await client.call("a_echo", text="here")) == "here"
        no_such = said(await client.call("a_nope"), "a_nope")
        assert no_such == (-32602, "client: unknown tool 'NAME'; tools/list has the names")
        for name in ("a_work", "b_echo", "b_x"):
            assert said(await client.call(name), name) == no_such
        assert (tmp_path / "b").read_bytes().count(b"tools/call") == 0


@DOORS
async def test_the_audit_says_by_which_of_them_a_call_came(tmp_path: Path, door: str) -> None:
    async with world(tmp_path, reading=READING) as running:
        async with at(running, door, "reading") as client, http(running) as whole:
            await client.call("a_echo", text="here")
            await client.call("b_x")
            await whole.call("a_echo", text="whole")
            await client.ask("tools/list")
        tail = (await running.world.run("audit", "tail")).out
        assert "a/echo at reading [" in tail
    leaves = [entry.leaf for entry in running.world.audit() if isinstance(entry.leaf, Intent | Outcome)]
    opened = [leaf for leaf in leaves if isinstance(leaf, Intent)]
    assert [leaf.endpoint for leaf in opened] == ["reading", ""]
    # One refused, and the list: what has no intent is described by its outcome.
    alone = [leaf for leaf in leaves if isinstance(leaf, Outcome) and leaf.method]
    assert {(leaf.method, leaf.endpoint) for leaf in alone} >= {("tools/call", "reading"), ("tools/list", "reading")}
    assert (await running.world.verified())["ok"] is True


async def test_the_whole_stays_beside_it_and_a_session_is_of_one_endpoint(tmp_path: Path) -> None:
    async with world(tmp_path, reading=READING) as running, session(running, "/mcp/reading") as client:
        async with http(running) as whole:
            assert len(names_of(await whole.ask("tools/list"))) == 10
            assert text_of(await whole.call("b_x")) == "x"
        assert (await post(running, request("tools/list"), client.headers())).status == 404


async def test_it_says_who_it_is_and_what_it_can_do(tmp_path: Path) -> None:
    async with world(tmp_path, reading=READING) as running, http(running, "/mcp/reading") as client:
        discovered = (await client.ask("server/discover"))["result"]
        assert discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["title"] == "Douane: reading"
        assert set(discovered["capabilities"]) == {"tools", "logging"}


async def test_only_those_for_whom_it_is_there_find_it_and_strangers_learn_no_names(tmp_path: Path) -> None:
    servers = {
        "mine": {**READING, "users": ["owner"]},
        "theirs": {**READING, "users": ["ann"], "groups": ["dev"], "clients": ["ci"]},
    }
    async with world(tmp_path, **servers) as running:
        asked = request("tools/list")
        known, unknown = head(running.token, asked), head(None, asked)
        answers = {
            name: [await post(running, asked, who, f"/mcp/{name}") for who in (known, unknown)]
            for name in ("theirs", "none", "mine/", "..%2fmcp")
        }
        assert {tuple(answer.status for answer in both) for both in answers.values()} == {(404, 401)}
        assert len({tuple((a.headers["content-type"], a.body) for a in both) for both in answers.values()}) == 1
        stranger = await post(running, asked, unknown, "/mcp/mine")
        assert (stranger.status, stranger.body) == (401, answers["none"][1].body)
        there, not_there = [await get(running, f"/mcp/{name}", known) for name in ("theirs", "none")]
        assert there.body == not_there.body
        async with http(running, "/mcp/mine") as client:
            assert names_of(await client.ask("tools/list")) == ["a_echo", "a_release"]
        for name in ("theirs", "none"):
            ran = await running.world.run("list", "--server", name)
            assert (ran.code, f"no virtual server '{name}'" in ran.err) == (4, True)


async def test_only_those_whose_list_changed_are_told(tmp_path: Path) -> None:
    servers = {"of-a": {"select": {"a": {"tools": ["*"]}}}, "few": READING}
    async with world(tmp_path, **servers) as running:
        async with (
            at(running, "greeted stdio", "of-a") as told,
            at(running, "greeted stdio", "few") as untold,
            http(running) as whole,
        ):
            assert isinstance(told, LineClient)
            assert isinstance(untold, LineClient)
            for line in (told, untold):
                await line.ask("tools/list")
            await whole.call("a_release", tools=["more"])
            await told.note_of("notifications/tools/list_changed")
            assert "a_more" in names_of(await told.ask("tools/list"))
            assert names_of(await untold.ask("tools/list")) == ["a_echo", "a_release"]
            await whole.call("b_release", tools=["more"])
            async with asyncio.timeout(BOUND_S), stdio(running.world) as other:
                await other.greet()
                while "b_more" not in names_of(await other.ask("tools/list")):
                    pass
            await told.ask("tools/list")
        assert [note for note in (*told.heard, *untold.heard) if "method" in note] == []


async def test_what_is_down_is_missing_where_it_is_selected_and_unknown_elsewhere(tmp_path: Path) -> None:
    upstreams = {"a": witness(tmp_path / "a"), "b": hostile("dies-at-start")}
    servers = {"of-a": {"select": {"a": {"tools": ["*"]}}}, "of-b": {"select": {"b": {"tools": ["echo"]}}}}
    async with gateway(tmp_path / "home", upstreams, servers=servers) as running:
        async with http(running, "/mcp/of-a") as client:
            assert missing_of(await client.ask("tools/list")) == {}
            assert said(await client.call("b_echo"), "b_echo") == said(await client.call("c_echo"), "c_echo")
        async with http(running, "/mcp/of-b") as client:
            assert set(missing_of(await client.ask("tools/list"))) == {"b"}
            assert "upstream b: " in (await client.call("b_echo"))["error"]["message"]
            assert said(await client.call("b_slow"), "b_slow")[0] == -32602


@DOORS
async def test_tools_are_shown_in_the_operators_words_and_called_in_the_servers(tmp_path: Path, door: str) -> None:
    upstreams = {"a": witness(tmp_path / "a", tools=WORDS)}
    servers = {"all": {"select": {"a": {"tools": ["*"]}}}}
    async with gateway(tmp_path / "home", upstreams, servers=servers) as running, at(running, door, "all") as client:
        tools = (await client.ask("tools/list"))["result"]["tools"]
        assert [t["name"] for t in tools] == ["say", "a_release", "a_work"]
        assert (tools[0]["title"], tools[0]["description"]) == ("Say", "Says it again.")
        assert text_of(await client.call("say", text="again")) == "again"
        no_such = said(await client.call("a_nope"), "a_nope")
        # Neither its old name nor what is hidden: both are as if they had never been.
        assert said(await client.call("a_echo"), "a_echo") == said(await client.call("a_wait"), "a_wait") == no_such
        calls = [json.loads(line) for line in (tmp_path / "a").read_bytes().splitlines() if b"tools/call" in line]
        assert [call["params"]["name"] for call in calls] == ["echo"]


async def test_rules_and_refusals_speak_of_the_name_people_see(tmp_path: Path) -> None:
    upstreams = {"a": witness(tmp_path / "a", tools=WORDS, reads={})}
    async with gateway(tmp_path / "home", upstreams) as running:
        refused = await running.world.run("call", "say", "text=x")
        assert (refused.code, "douane allow say" in refused.err) == (1, True)
        assert (await running.world.run("allow", "say")).code == 0

        # Within a second, says the documentation.
        async with asyncio.timeout(5.0), http(running) as client:
            while "result" not in await client.call("say", text="x"):
                pass


async def test_a_server_that_lists_the_same_names_gets_nobody_past_a_rule(tmp_path: Path) -> None:
    upstreams = {"a": witness(tmp_path / "a", prefix=""), "evil": witness(tmp_path / "evil", prefix="")}
    policy = tmp_path / "home" / "policy.cedar"
    policy.parent.mkdir()
    rule = 'forbid (principal, action, resource == Douane::Tool::"echo");'
    policy.write_text(f'@id("all") permit (principal, action, resource);\n@id("no-echo") {rule}\n')
    async with (
        gateway(tmp_path / "home", upstreams, policy={"files": [str(policy)]}) as running,
        http(running) as client,
    ):
        echoes = [name for name in names_of(await client.ask("tools/list")) if name.startswith("echo")]
        assert len(echoes) == 2
        for name in echoes:
            assert "no-echo" in (await client.call(name, text="x"))["error"]["message"]


async def test_the_original_is_shown_beside_it_to_the_operator_only_when_asked(tmp_path: Path) -> None:
    upstreams = {"a": witness(tmp_path / "a", tools=WORDS)}
    async with gateway(tmp_path / "home", upstreams, servers={"r": {"select": {"a": {"tools": ["echo"]}}}}) as running:
        document = json.loads((await running.world.run("list", "--json", "--original")).out)
        first = document["tools"][0]
        own = {"name": "echo", "inputSchema": {"type": "object"}}
        assert (first["name"], first["_meta"]["douane/original"]) == (
            "say",
            {"upstream": "a", "name": "echo", "definition": own},
        )
        assert [one["name"] for one in document["hidden"]] == ["wait"]
        shown = await running.world.run("list", "--original", COLUMNS="200")
        assert all(part in shown.out for part in ("say", "echo", "its own title: none", "hidden: a: wait"))
        virtual = json.loads((await running.world.run("list", "--server", "r", "--json", "--original")).out)
        assert [t["name"] for t in virtual["tools"]] == ["say"]
        plain = json.loads((await running.world.run("list", "--json")).out)
        assert "hidden" not in plain
        assert all("_meta" not in t for t in plain["tools"])


async def test_what_is_about_nothing_is_said_at_the_start_with_its_line_and_the_remedy(tmp_path: Path) -> None:
    upstreams = {"a": witness(tmp_path / "a", tools={"ecko": {"as": "say"}})}
    servers = {"r": {"select": {"a": {"tools": ["work", "releas"], "prompts": ["*"]}}}}
    async with gateway(tmp_path / "home", upstreams, servers=servers) as running:
        await running.world.run("list")
        log = "\n".join(running.log)
        file = f"{running.world.config}:1: "
        for part in (
            f'{file}upstreams.a.tools.ecko: the server a lists no such tool, so this does nothing; did you mean \\"echo\\"?',
            f"{file}servers.r.select.a.tools[1]: matches none of the tools of a that are shown; did you mean",
            f"{file}servers.r.select.a.prompts[0]: matches none of the prompts of a that are shown; there are none",
        ):
            assert await until(lambda part=part: part in "\n".join(running.log)), (part, log)
        assert "tools[0]" not in "\n".join(running.log)


async def test_the_command_line_calls_exports_and_points_clients_at_a_virtual_server(tmp_path: Path) -> None:
    async with world(tmp_path, reading=READING) as running:
        run = running.world.run
        assert (await run("call", "a_echo", "text=hi", "--server", "reading")).out == "hi\n"
        refused = await run("call", "b_echo", "text=hi", "--server", "reading")
        assert (refused.code, "unknown tool 'b_echo'" in refused.err) == (1, True)
        exported = json.loads((await run("export", "--format", "openai", "--server", "reading")).out)
        assert list(exported["names"].values()) == ["a_echo", "a_release"]
        entry = json.loads((await run("snippet", "generic", "--json", "--server", "reading")).out)["entry"]
        assert entry["args"][-4:] == ["--config", str(running.world.config), "--server", "reading"]
        entry = json.loads((await run("snippet", "generic", "--json", "--url", "--server", "reading")).out)["entry"]
        assert entry["url"].endswith("/mcp/reading")
        unknown = await run("snippet", "generic", "--server", "raeding")
        assert (unknown.code, "known there: reading" in unknown.err) == (2, True)
        gone = await run("list", "--server", "raeding")
        assert (gone.code, "it was started with: reading" in gone.err) == (4, True)


async def test_stdio_starts_the_gateway_whose_virtual_server_it_joins(tmp_path: Path) -> None:
    home = World(tmp_path, {"a": witness(tmp_path / "a")}, servers={"reading": READING}, listen={"port": 0})
    try:
        async with stdio(home, "--server", "reading") as line:
            assert names_of(await line.ask("tools/list")) == ["a_echo", "a_release"]
    finally:
        for process in home.processes():
            if " up " in process:
                os.kill(int(process.split()[0]), signal.SIGTERM)
    assert await home.empty(5.0), home.processes()
