"""HTTP+SSE at the gateway's own door: streams, what is posted to them, and everything that is refused."""

import asyncio
import json
from pathlib import Path

import pytest
from gateway_clients import Headers, events, get, head, names_of, post, request, sse, text_of, tool, wire
from gateway_world import Gateway, gateway, hostile, until, witness

LISTEN = {"accept": "text/event-stream"}
PING = json.dumps(request("ping")).encode()


def bearing(running: Gateway) -> Headers:
    return {"authorization": f"Bearer {running.token}", **LISTEN}


async def test_a_stream_says_first_where_to_post_and_then_what_is_answered(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, sse(running) as client:
        assert client.endpoint.startswith("/messages?session_id=")
        assert len(client.endpoint.partition("=")[2]) >= 43
        welcome = await client.greet("2024-11-05")
        assert welcome["protocolVersion"] == "2024-11-05"
        assert text_of(await client.call("hostile_echo", text="on the stream")) == "on the stream"
        large = "x" * 3_000_000
        assert text_of(await client.call("hostile_echo", text=large)) == large


async def test_a_second_stream_is_another_client_and_the_first_goes_on(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, sse(running) as first:
        await first.greet()
        async with sse(running) as second:
            assert second.endpoint != first.endpoint
            error = (await second.plain("tools/list"))["error"]
            assert "initialize first" in error["message"]
        assert text_of(await first.call("hostile_echo", text="still here")) == "still here"


async def test_what_is_posted_without_a_stream_of_ones_own_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, sse(running) as client:
        own = head(running.token)
        for query in ("", "?", "?session_id=", "?session_id=unknown", "?sessionId=x", "?session_id=%2e%2e"):
            answer = await post(running, PING, own, "/messages" + query)
            assert answer.status == 404, query
            assert "GET /sse opens one" in answer.body.decode()
        path = client.endpoint
        assert (await post(running, PING, head(None), path)).status == 401
        assert (await post(running, PING, own | {"content-type": "text/plain"}, path)).status == 415
        assert (await post(running, PING, own | {"origin": "http://evil.example"}, path)).status == 403
        assert (await get(running, path, bearing(running))).status == 405
        # None of it has harmed the stream.
        await client.greet()
        assert text_of(await client.call("hostile_echo", text="fine")) == "fine"


async def test_a_stream_is_opened_by_whoever_may_and_by_get_alone(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        assert (await get(running, "/sse", LISTEN)).status == 401
        assert (await get(running, "/sse", bearing(running) | {"origin": "http://evil.example"})).status == 403
        posted = await post(running, PING, head(running.token), "/sse")
        assert (posted.status, posted.headers["allow"]) == (405, "GET")
        async with wire(running) as line:
            await line.say(b"GET /sse HTTP/1.1\r\nhost: evil.example\r\n\r\n")
            assert (await line.status())[0] == 403


async def test_broken_messages_are_answered_on_the_stream_and_it_goes_on(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, sse(running) as client:
        await client.greet()
        for broken, code in ((b"hello", -32700), (b"", -32700), (b"[]", -32600), (b'{"id":1}', -32600)):
            await client.say(broken)
            assert (await client.hear())["error"]["code"] == code, broken
        too_large = b"x" * (5 * 1024 * 1024)
        async with wire(running) as line:
            await line.send("POST", head(running.token), too_large[:1], client.endpoint)
            assert (await line.answer()).status == 202
            await client.hear()
            headers = {**head(running.token), "content-length": str(len(too_large))}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            await line.say(f"POST {client.endpoint} HTTP/1.1\r\nhost: 127.0.0.1:{running.port}\r\n{lines}\r\n".encode())
            assert (await line.answer()).status == 413
        assert text_of(await client.call("hostile_echo", text="fine")) == "fine"


async def test_the_end_of_a_stream_cancels_what_was_asked_on_it(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen)}) as running:
        async with sse(running) as client:
            await client.greet()
            await client.begin("tools/call", tool("w_wait"))
            assert await until(lambda: seen.exists() and b"tools/call" in seen.read_bytes())
        assert await until(lambda: b"notifications/cancelled" in seen.read_bytes())

        def statuses() -> list[str]:
            return [o.status for call in running.world.calls().values() if call.intents for o in call.outcomes]

        assert await until(lambda: statuses() == ["cancelled"])
        assert (await post(running, PING, head(running.token), client.endpoint)).status == 404


async def test_progress_and_changed_lists_are_told_on_the_stream(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}) as running, sse(running) as client:
        await client.greet("2024-11-05")
        answer = await client.ask("tools/call", tool("w_work"), progressToken="mine")
        assert text_of(answer) == "worked"
        told = [m["params"] for m in client.heard if m["method"] == "notifications/progress"]
        # Progress had no message yet in this revision.
        assert told == [{"progressToken": "mine", "progress": step} for step in (1, 2, 3)]
        await client.call("w_release", tools=["new"])
        assert (await client.note_of("notifications/tools/list_changed"))["params"] == {}


async def test_a_call_that_is_open_when_the_gateway_stops_is_answered_first(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    async with gateway(tmp_path / "home", {"w": witness(seen)}) as running, sse(running) as client:
        await client.greet()
        waiting = await client.begin("tools/call", tool("w_wait"))
        assert await until(lambda: seen.exists() and b"tools/call" in seen.read_bytes())
        released = await client.begin("tools/call", tool("w_release"))
        stopping = asyncio.create_task(running.stop())
        heard = {(message := await client.hear())["id"]: text_of(message) for _ in range(2)}
        assert heard == {waiting: "waited", released: "released"}
        assert await client.ended()
        assert await stopping == 0


async def test_a_virtual_server_has_streams_of_its_own(tmp_path: Path) -> None:
    servers = {"few": {"select": {"hostile": {"tools": ["echo"]}}}}
    async with gateway(tmp_path, {"hostile": hostile()}, servers=servers) as running:
        async with sse(running, "/mcp/few/sse") as client, sse(running) as whole:
            assert client.endpoint.startswith("/mcp/few/messages?session_id=")
            await client.greet()
            assert names_of(await client.ask("tools/list")) == ["hostile_echo"]
            assert "error" in await client.call("hostile_count")
            crossed = client.endpoint.replace("/mcp/few/", "/")
            assert (await post(running, PING, head(running.token), crossed)).status == 404
            await whole.greet()
            assert len(names_of(await whole.ask("tools/list"))) > 1
        assert (await get(running, "/mcp/few/sse", LISTEN)).status == 401
        assert (await get(running, "/mcp/none/sse", LISTEN)).status == 401
        assert (await get(running, "/mcp/none/sse", bearing(running))).status == 404


async def test_it_can_be_left_out(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}, listen={"sse": False}) as running:
        for path in ("/sse", "/messages"):
            assert (await get(running, path, bearing(running))).status == 404


@pytest.mark.parametrize("path", ["/sse/", "/SSE", "//sse", "/sse%2f", "/messages/"])
async def test_only_the_exact_paths_lead_there(path: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        assert (await get(running, path, bearing(running))).status == 404


async def test_a_client_that_repeats_one_head_gets_a_stream_each_time(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        found: set[bytes] = set()
        for _ in range(3):
            async with wire(running) as line:
                await line.send("GET", bearing(running), path="/sse")
                _, headers = await line.status()
                found.add((await anext(events(line, headers)))[1])
        assert len(found) == 3
