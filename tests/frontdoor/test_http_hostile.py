"""F22 to F24 against the running gateway: a selection, to see that the transport's guard really stands in front.

The whole corpus is in tests/transports/test_http_hostile.py.
"""

import json
from pathlib import Path

import pytest
from gateway_clients import HttpClient, Wire, enveloped, get, head, http, post, request, text_of, tool, wire
from gateway_world import Gateway, gateway, hostile, until

BODY = json.dumps(request("tools/call", enveloped(tool("hostile_count")))).encode()
MIRROR = b"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"


def raw(
    gateway: Gateway, *, host: bytes = b"", more: bytes = b"", name: bytes = b"Mcp-Name: hostile_count\r\n"
) -> bytes:
    """A good call as bytes, with something more, or something else, in its head."""
    return (
        b"POST /mcp HTTP/1.1\r\nHost: "
        + (host or b"127.0.0.1:%d" % gateway.port)
        + b"\r\nAuthorization: Bearer "
        + gateway.token.encode()
        + b"\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        + MIRROR
        + name
        + more
    )


def whole(start: bytes) -> bytes:
    return start + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


async def said(gateway: Gateway, data: bytes) -> tuple[int, bool]:
    """The status, and whether the connection was closed after it."""
    async with wire(gateway) as line:
        await line.say(data)
        answer = await line.answer()
        closes = answer.headers.get("connection") == "close"
        return answer.status, closes and await line.closed()


async def calls_of(client: HttpClient) -> int:
    """How often the counting tool ran; asking counts too."""
    return int(text_of(await client.call("hostile_count")))


async def test_requests_that_two_parsers_could_read_differently_are_refused_and_the_connection_closed(
    tmp_path: Path,
) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        assert await said(running, whole(raw(running))) == (200, False)
        length = b"Content-Length: %d\r\n" % len(BODY)
        chunked = b"Transfer-Encoding: chunked\r\n"
        bad = {
            "both framings": raw(running, more=length + chunked) + b"\r\n" + BODY,
            "two lengths": raw(running, more=length + length) + b"\r\n" + BODY,
            "a list of lengths": raw(running, more=b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY)))
            + b"\r\n"
            + BODY,
            "a signed length": raw(running, more=b"Content-Length: +%d\r\n" % len(BODY)) + b"\r\n" + BODY,
            "two codings": raw(running, more=b"Transfer-Encoding: identity\r\n" + chunked) + b"\r\n" + BODY,
            "a spaced name": raw(running, more=b"Transfer-Encoding : chunked\r\n") + b"\r\n" + BODY,
            "a folded header": whole(raw(running, more=b"X-A: 1\r\n 2\r\n")),
            "two hosts": whole(raw(running, more=b"Host: 127.0.0.1:%d\r\n" % running.port)),
            "two names": whole(raw(running, more=b"Mcp-Name: hostile_echo\r\n")),
            "two equal names": whole(raw(running, more=b"Mcp-Name: hostile_count\r\n")),
            "two methods": whole(raw(running, more=b"Mcp-Method: tools/list\r\n")),
            "two tokens": whole(raw(running, more=b"Authorization: Bearer x\r\n")),
            "a NUL in a header": whole(raw(running, more=b"X-A: a\0b\r\n")),
            "an absolute target": whole(raw(running).replace(b"POST /mcp ", b"POST http://evil/mcp ")),
        }
        for name, data in bad.items():
            status, closed = await said(running, data)
            assert (status, closed) == (400, True), name
        assert (await said(running, whole(raw(running)).replace(b" HTTP/1.1", b" HTTP/2.0", 1)))[0] == 505
        # The good one, and this one: nothing else ever reached the tool.
        assert await calls_of(client) == 2


async def test_headers_that_do_not_mirror_the_body_are_refused_with_their_code(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        message = request("tools/call", enveloped(tool("hostile_count")))
        good = head(running.token, message)
        assert (await post(running, message, good)).status == 200
        odd = [
            good | {"mcp-name": "hostile_echo"},
            good | {"mcp-name": "HOSTILE_COUNT"},
            good | {"mcp-name": "=?base64?!!!?="},
            good | {"mcp-method": "tools/list"},
            good | {"mcp-protocol-version": "2025-11-25"},
            {key: value for key, value in good.items() if key != "mcp-name"},
            {key: value for key, value in good.items() if key != "mcp-method"},
            {key: value for key, value in good.items() if key != "mcp-protocol-version"},
        ]
        for headers in odd:
            answer = await post(running, message, headers)
            assert (answer.status, answer.code) == (400, -32020), headers
        encoded = good | {"mcp-name": "=?base64?aG9zdGlsZV9jb3VudA==?="}
        assert text_of((await post(running, message, encoded)).message) == "2"
        assert await calls_of(client) == 3


async def test_a_head_said_again_over_another_body_is_judged_by_that_body(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        good = whole(raw(running))
        other = json.dumps(request("tools/call", enveloped(tool("hostile_COUNT")))).encode()
        listing = json.dumps(request("tools/list", enveloped({}))).encode()
        async with wire(running) as line:
            for body, status in ((BODY, 200), (BODY, 200), (other, 400), (BODY, 200), (listing.ljust(len(BODY)), 400)):
                await line.say(good.replace(BODY, body))
                answer = await line.answer()
                assert answer.status == status, body
                assert (b"-32020" in answer.body) == (status == 400)
        assert await calls_of(client) == 4


@pytest.mark.parametrize(
    "host", ["evil.com", "127.0.0.1", "127.0.0.1:{port}.evil.com", "127.0.0.1:1", "localhost.evil.com:{port}", "[::1]"]
)
async def test_a_foreign_host_is_refused(tmp_path: Path, host: str) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        assert await said(running, whole(raw(running, host=host.format(port=running.port).encode()))) == (403, True)
        for good in ("localhost", "127.0.0.1", "[::1]"):
            assert (await said(running, whole(raw(running, host=f"{good}:{running.port}".encode()))))[0] == 200
        assert await calls_of(client) == 4


async def test_a_foreign_origin_is_refused_and_a_named_one_served(tmp_path: Path) -> None:
    page = "https://console.example"
    async with gateway(tmp_path, {"hostile": hostile()}, listen={"origins": [page]}) as running:
        for origin in (
            "http://evil.com",
            "null",
            "https://console.example.evil.com",
            "http://console.example",
            "file://",
        ):
            assert await said(running, whole(raw(running, more=f"Origin: {origin}\r\n".encode()))) == (403, True)
        assert (await said(running, whole(raw(running, more=f"Origin: {page}\r\n".encode()))))[0] == 200


async def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        assert (await said(running, whole(raw(running, more=b"X-A: " + b"a" * 65_536 + b"\r\n"))))[0] == 431
        assert (await said(running, whole(raw(running, more=b"X: 1\r\n" * 1000))))[0] == 431
        over = raw(running, more=b"Content-Length: %d\r\n" % ((4 << 20) + 1)) + b"\r\n"
        assert (await said(running, over))[0] == 413
        async with wire(running) as line:
            await line.say(raw(running, more=b"Transfer-Encoding: chunked\r\n") + b"\r\n")
            await _pour(line, 5 << 20)
            assert (await line.answer()).status == 413
        fits = await client.call("hostile_echo", text="x" * ((4 << 20) - 1024))
        assert len(text_of(fits)) == (4 << 20) - 1024


async def _pour(line: Wire, size: int) -> None:
    try:
        for _ in range(size >> 16):
            await line.say(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
    except ConnectionError:
        pass


async def test_paths_and_methods_that_are_not_served_are_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        assert (await get(running, "/")).status == 404
        # Below /mcp it is asked first who wants to know.
        assert (await get(running, "/mcp/../healthz")).status in (400, 401)
        assert (await get(running, "/mcp%2f")).status == 404
        assert (await get(running, "/mcp")).status == 401
        for method in ("PUT", "PATCH", "OPTIONS", "HEAD"):
            async with wire(running) as line:
                await line.send(method, head(running.token))
                status, headers = await line.status()
                assert status == 405, method
                assert "POST" in headers["allow"]
        assert (await post(running, b"{}", head(running.token) | {"content-type": "text/plain"})).status == 415


async def test_nobody_comes_in_without_the_token_and_the_audit_holds_one_leaf_a_second(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        message = request("tools/call", enveloped(tool("hostile_count")))
        missing = await post(running, message, head(None, message))
        assert (missing.status, missing.headers["www-authenticate"]) == (401, "Bearer")
        error = missing.message["error"]
        assert (missing.message["id"], error["code"]) == (None, -32600)
        assert error["message"].startswith("client: send the gateway's token as")
        wrong = [
            f"Bearer {running.token}x",
            f"Bearer {running.token[:-1]}",
            f"Bearer {running.token.upper()}",
            "Bearer ",
            "Basic eDp5",
            running.token,
        ]
        for header in wrong:
            answer = await post(running, message, head(None, message) | {"authorization": header})
            assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"'), header
            assert running.token not in answer.body.decode()
        statuses = [(await post(running, message, head("nonsense", message))) for _ in range(60)]
        flooded = [answer for answer in statuses if answer.status == 429]
        assert {answer.status for answer in statuses} == {401, 429}
        assert int(flooded[0].headers["retry-after"]) >= 1
        # Who has the token is not locked out by who has not.
        assert await calls_of(client) == 1

        def denied() -> list[str]:
            return [e.leaf.t[:19] for e in running.world.audit() if e.leaf is not None and e.leaf.kind == "denied"]

        assert await until(lambda: denied() != [])
        # A second of our clock may touch two of the audit's.
        assert all(denied().count(second) <= 2 for second in denied())
        assert len(denied()) <= 5
        assert running.token not in "\n".join(line for line in running.log[3:])
