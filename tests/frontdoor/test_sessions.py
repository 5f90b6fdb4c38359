"""The rules of sessions over HTTP, and that the newest revision has none."""

import asyncio
import json
from pathlib import Path

import pytest
from gateway_clients import (
    MODERN,
    OLDER,
    Message,
    enveloped,
    get,
    head,
    http,
    post,
    request,
    session,
    stdio,
    text_of,
    tool,
    wire,
)
from gateway_world import gateway, hostile, witness

LISTEN = {"accept": "text/event-stream"}
HELLO = {"protocolVersion": OLDER, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
SPOKEN = ("2024-11-05", "2025-03-26", "2025-06-18", OLDER)
"""The revisions with a handshake."""


async def test_a_session_ends_with_delete_and_is_then_unknown(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, session(running) as client:
        headers = client.headers()
        assert text_of(await client.call("hostile_echo", text="in session")) == "in session"
        async with wire(running) as ear, wire(running) as line:
            await ear.send("GET", headers | LISTEN)
            status, said = await ear.status()
            assert (status, said["content-type"]) == (200, "text/event-stream")
            await line.send("DELETE", headers)
            assert (await line.answer()).status == 204
            assert b"data: {" not in b"".join([chunk async for chunk in ear.chunks(said)])
            await line.send("DELETE", headers)
            assert (await line.answer()).status == 404
        assert (await post(running, request("tools/list"), headers)).status == 404
        assert (await get(running, "/mcp", headers | LISTEN)).status == 404


async def test_delete_cancels_what_the_session_had_open(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, session(running) as client:
        await client.begin("tools/call", tool("hostile_hang"), progressToken=1)
        async with wire(running) as line:
            await line.send("DELETE", client.headers())
            assert (await line.answer()).status == 204
        heard = [message async for message in client.messages()]
        assert all("result" not in message for message in heard)


async def test_a_session_is_asked_for_and_must_be_known(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        for id in ("", "unknown", "x" * 43, "../../etc/passwd"):
            answer = await post(running, request("tools/list"), head(running.token) | {"mcp-session-id": id})
            assert answer.status == 404, id
            assert "initialize" in answer.body.decode()
        assert (await post(running, request("tools/list"), head(running.token))).status == 400
        assert (await get(running, "/mcp", head(running.token) | LISTEN)).status == 400
        note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await post(running, note, head(running.token))).status == 400


async def test_a_session_is_no_credential(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, session(running) as client:
        bare = {key: value for key, value in client.headers().items() if key != "authorization"}
        assert (await post(running, request("tools/list"), bare)).status == 401
        assert (await get(running, "/mcp", bare | LISTEN)).status == 401


async def test_session_ids_are_long_unlike_and_printable(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        answers = [await post(running, request("initialize", HELLO), head(running.token)) for _ in range(20)]
        ids = {answer.headers["mcp-session-id"] for answer in answers}
        assert len(ids) == 20
        assert all(len(id) >= 43 and all(0x21 <= ord(char) <= 0x7E for char in id) for id in ids)


async def test_a_revision_in_the_header_must_be_one_that_is_spoken(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, session(running) as client:
        for revision in ("1999-01-01", "2024-10-07", "latest", ""):
            headers = client.headers() | {"mcp-protocol-version": revision}
            answer = await post(running, request("tools/list"), headers)
            assert answer.status == 400, revision
            assert OLDER in answer.body.decode()
        # Without one the session's own is meant.
        silent = {key: value for key, value in client.headers().items() if key != "mcp-protocol-version"}
        assert (await post(running, request("tools/list"), silent)).status == 200


async def test_initialize_settles_on_what_both_speak(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        for asked, settled in (*zip(SPOKEN, SPOKEN, strict=True), ("1999-01-01", OLDER), (MODERN, OLDER)):
            async with http(running) as client:
                assert (await client.greet(asked))["protocolVersion"] == settled


@pytest.mark.parametrize("upstream", [*SPOKEN, "modern"])
async def test_a_server_of_every_revision_serves_clients_of_every_revision(tmp_path: Path, upstream: str) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen, upstream)}) as running:
        for revision in (*SPOKEN, MODERN):
            async with http(running) as client, stdio(running.world) as line:
                for one in (client, line):
                    if revision != MODERN:
                        assert (await one.greet(revision))["protocolVersion"] == revision
                    assert text_of(await one.call("w_echo", text=revision)) == revision
        spoken = MODERN if upstream == "modern" else upstream
        assert f"upstream w is up ({spoken})" in "\n".join(running.log)
    asked = [frame["params"]["protocolVersion"] for frame in frames(seen) if frame["method"] == "initialize"]
    assert asked == ([] if upstream == "modern" else [OLDER])


def frames(seen: Path) -> list[Message]:
    return [json.loads(line) for line in seen.read_bytes().splitlines()]


async def test_the_newest_revision_has_no_session_no_get_and_no_delete(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        message = request("tools/list", enveloped())
        answer = await post(running, message, head(running.token, message) | {"mcp-session-id": "whatever"})
        assert answer.status == 200
        assert "mcp-session-id" not in answer.headers
        modern = head(running.token) | {"mcp-protocol-version": MODERN}
        for method in ("GET", "DELETE"):
            await client.line.send(method, modern | LISTEN)
            refused = await client.line.answer()
            assert (refused.status, refused.headers["allow"]) == (405, "POST")
        for gone in ("initialize", "ping", "logging/setLevel", "resources/subscribe"):
            message = request(gone, enveloped())
            answer = await post(running, message, head(running.token, message))
            assert (answer.status, answer.code) == (404, -32601), gone
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert (await post(running, note, head(running.token, note))).status == 202


async def test_a_second_ear_takes_over_from_the_first(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, session(running) as client:
        async with wire(running) as first, wire(running) as second:
            await first.send("GET", client.headers() | LISTEN)
            _, said = await first.status()
            await second.send("GET", client.headers() | LISTEN)
            assert (await second.status())[0] == 200
            assert b"data: {" not in b"".join([chunk async for chunk in first.chunks(said)])
        assert (await get(running, "/mcp", client.headers() | {"accept": "application/json"})).status == 406


async def test_one_caller_has_a_share_of_the_sessions_and_none_in_use_is_taken_from_it(tmp_path: Path) -> None:
    limits = {"limits": {"max_sessions_per_principal": 2}}
    async with (
        gateway(tmp_path, {"hostile": hostile()}, **limits) as running,
        session(running) as first,
        session(running) as second,
        http(running) as third,
        wire(running) as one,
    ):
        async with wire(running) as two:
            for ear, client in ((one, first), (two, second)):
                await ear.send("GET", client.headers() | LISTEN)
                assert (await ear.status())[0] == 200
            refused = await post(running, request("initialize", HELLO), head(running.token))
            assert refused.code == -32600
            assert "2 sessions" in refused.message["error"]["message"]
            assert "mcp-session-id" not in refused.headers
            # Clients of the newest revision have none, and no limit of them.
            assert text_of(await third.call("hostile_echo", text="no session")) == "no session"
        # The second has hung up, which the gateway is told by the network.
        async with asyncio.timeout(5.0):
            while "error" in (await post(running, request("initialize", HELLO), head(running.token))).message:
                pass
        assert text_of(await first.call("hostile_echo", text="still here")) == "still here"
        assert (await post(running, request("tools/list"), second.headers())).status == 404


async def test_a_reply_posted_to_a_session_that_asked_nothing_is_refused_and_costs_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, session(running) as client:
        reply = {"jsonrpc": "2.0", "id": 5, "result": {}}
        assert (await post(running, json.dumps(reply).encode(), client.headers())).status == 400
        assert text_of(await client.call("hostile_echo", text="fine")) == "fine"
