"""Secrets that the operator binds to arguments: the server gets them, and nobody else sees them."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import enveloped, head, post, request, tool, until_ready
from gateway_world import Gateway, World, gateway
from http_upstream import Heard, http_upstream
from peers import Speaks

SECRET = 'sk-12345"67/é'


async def called(running: Gateway, arguments: Any, name: str = "far_echo", **headers: str) -> Any:
    message = request("tools/call", enveloped(tool(name, arguments)))
    return (await post(running, message, head(running.token, message, **headers))).message


def world(url: str, **more: Any) -> dict[str, Any]:
    far = {"url": url, "reads": {"tools": ["*"]}, "bind": {"echo": {"api_key": "desk", "auth.token": "desk"}}}
    return {"upstreams": {"far": far | more.pop("far", {})}, "secrets": {"desk": "${DESK}"}} | more


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_the_server_gets_the_secret_and_neither_caller_nor_log_nor_policy_do(tmp_path: Path, era: Speaks) -> None:
    async with http_upstream(era) as upstream:
        audit = {"keep_arguments": True, "keep_results": True}
        config = world(upstream.url, audit=audit)
        async with gateway(tmp_path, config.pop("upstreams"), environment={"DESK": SECRET}, **config) as running:
            await until_ready(running)
            # It echoes what it got, as careless servers do.
            answer = await called(running, {"q": "x", "api_key": "mine", "auth": {"user": "u"}})
            (heard,) = [heard for heard in upstream.heard if heard.method == "tools/call"]
            sent = {"q": "x", "api_key": SECRET, "auth": {"user": "u", "token": SECRET}}
            assert heard.params["arguments"] == sent
            assert "[secret desk]" in answer["result"]["content"][0]["text"]
            (recorded,) = [made for made in running.world.calls().values() if made.intents]
            kept = recorded.arguments
            assert kept["api_key"] == kept["auth"]["token"]
            assert kept["api_key"].startswith("douane-secret:desk@")
            assert (kept["q"], kept["auth"]["user"]) == ("x", "u")
            log = "".join(running.log)
        written = b"".join(path.read_bytes() for path in running.world.paths.data_dir.rglob("*") if path.is_file())
        for form in (SECRET, json.dumps(SECRET)[1:-1], "sk-12345", b64encode(SECRET.encode()).decode()):
            assert form.encode() not in written
            assert form not in log
            assert form not in json.dumps(answer)


async def test_a_secret_in_an_error_an_event_or_another_result_is_masked(tmp_path: Path) -> None:
    def fails(heard: Heard) -> None:
        heard.listen()
        heard.tell("notifications/message", {"level": "error", "data": {"used": [SECRET]}})
        error = {"code": -32000, "message": f"bad key {SECRET}", "data": {SECRET: 1}}
        heard.say(b"data: " + json.dumps({"jsonrpc": "2.0", "id": heard.id, "error": error}).encode() + b"\n\n")
        heard.end()

    async with http_upstream("stateless", tools__call=fails) as upstream:
        config = world(upstream.url)
        async with gateway(tmp_path, config.pop("upstreams"), environment={"DESK": SECRET}, **config) as running:
            await until_ready(running)
            level = {"io.modelcontextprotocol/logLevel": "debug"}
            message = request("tools/call", enveloped(tool("far_echo", {}), **level))
            answer = await post(running, message, head(running.token, message))
            assert b"bad key" in answer.body
            assert answer.body.count(b"[secret desk]") == 3, answer.body
            assert b"sk-12345" not in answer.body


async def test_a_secret_that_its_tool_wants_in_a_header_is_not_sent_at_all(tmp_path: Path) -> None:
    async with http_upstream("stateless") as upstream:
        properties = {"api_key": {"type": "string", "x-mcp-header": "Key"}, "q": {"type": "string"}}
        upstream.tools[0]["inputSchema"] = {"type": "object", "properties": properties}
        config = world(upstream.url)
        async with gateway(tmp_path, config.pop("upstreams"), environment={"DESK": SECRET}, **config) as running:
            await until_ready(running)
            refused = await called(running, {"q": "x"})
            assert "error" in refused, refused
            assert "wanted in a header as well" in refused["error"]["message"]
            assert [heard for heard in upstream.heard if heard.method == "tools/call"] == []


async def test_an_argument_that_leaves_no_room_for_a_secret_is_refused(tmp_path: Path) -> None:
    async with http_upstream("stateless") as upstream:
        config = world(upstream.url)
        async with gateway(tmp_path, config.pop("upstreams"), environment={"DESK": SECRET}, **config) as running:
            await until_ready(running)
            refused = await called(running, {"auth": "text"})
            assert "must be an object" in refused["error"]["message"]
            # The words for it bind nothing elsewhere.
            said = "douane-secret:desk@00000000"
            await called(running, {"q": said})
            (heard,) = [heard for heard in upstream.heard if heard.method == "tools/call"]
            assert heard.params["arguments"]["q"] == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"secrets": {}}, "upstreams.far.bind.echo.api_key: there is no secret 'desk'"),
        ({"secrets": {"desk": "short"}}, "secrets.desk: has fewer than 8 characters"),
        ({"secrets": {"d sk": "long enough"}}, 'secrets."d sk": a name is'),
        ({"far": {"bind": {"echo": {"a": "desk", "a.b": "desk"}}}}, "binds an argument and a member of it"),
        ({"far": {"bind": {"echo": {"a..b": "desk"}}}}, "is no argument"),
    ],
)
async def test_what_cannot_be_bound_is_refused_with_its_place(tmp_path: Path, change: Any, said: str) -> None:
    config = world("https://far.example/mcp", **change)
    at = World(tmp_path, config.pop("upstreams"), **config)
    ran = await at.run("up", "--config", str(at.config), "--port", "0", DESK=SECRET)
    assert said in ran.err, ran.err
    assert SECRET not in ran.err


async def test_no_secret_is_shown_where_the_configuration_is_explained(tmp_path: Path) -> None:
    config = world("https://far.example/mcp", secrets={"desk": "written-in-the-file"})
    at = World(tmp_path, config.pop("upstreams"), **config)
    ran = await at.run("config", "explain", "--config", str(at.config))
    assert "secrets.desk" in ran.out
    assert "written-in-the-file" not in ran.out + ran.err
