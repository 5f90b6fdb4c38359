"""F21: every bad frame a client can send gets its error and its status, and nobody else notices.

One table for every door. Over HTTP the status is that of PROTOCOL §1.0; a line answers with the error alone.
"""

import json
from pathlib import Path
from typing import Any

from gateway_clients import OLDER, enveloped, get, head, http, post, request, session, stdio, text_of, tool
from gateway_world import gateway, hostile, until

PARSE, INVALID, UNKNOWN, PARAMS = -32700, -32600, -32601, -32602


def put(params: str) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":%s}' % params.encode()


FRAMES: dict[str, tuple[bytes, int]] = {
    # RELIABILITY, appendix A.
    "NaN": (put('{"x":NaN}'), PARSE),
    "minus infinity": (put('{"x":-Infinity}'), PARSE),
    "duplicate keys": (put('{"x":1,"x":2}'), PARSE),
    "duplicate members": (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', PARSE),
    "duplicate keys, spelled differently": (put('{"x":1,"\\u0078":2}'), PARSE),
    "5000 digits": (put('{"x":' + "9" * 5000 + "}"), PARSE),
    "1e400": (put('{"x":1e400}'), PARSE),
    "a lone surrogate, escaped": (put('{"x":"\\ud800"}'), PARSE),
    "a surrogate as UTF-8": (b'{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}', PARSE),
    "a byte order mark": (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}', PARSE),
    "UTF-16": ('{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16-be"), PARSE),
    "nested 65 deep": (put('{"x":' + "[" * 64 + "]" * 64 + "}"), INVALID),
    "nested 1025 deep": (put('{"x":' + "[" * 1025 + "]" * 1025 + "}"), INVALID),
    "nested 100000 deep": (put('{"x":' + "[" * 100_000 + "]" * 100_000 + "}"), INVALID),
    "10001 keys": (put(json.dumps({str(n): n for n in range(10_001)})), INVALID),
    # JSON-RPC.
    "nothing that is JSON": (b"hello", PARSE),
    "cut": (b'{"jsonrpc":"2.0","id":1,"meth', PARSE),
    "a trailing comma": (b'{"jsonrpc":"2.0","id":1,"method":"ping",}', PARSE),
    "a batch": (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', INVALID),
    "an empty batch": (b"[]", INVALID),
    "a number": (b"42", INVALID),
    "a string": (b'"ping"', INVALID),
    "null": (b"null", INVALID),
    "no version": (b'{"id":1,"method":"ping"}', INVALID),
    "another version": (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', INVALID),
    "a null id": (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', INVALID),
    "a fraction for an id": (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', INVALID),
    "an object for an id": (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', INVALID),
    "a boolean for an id": (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', INVALID),
    "a number for a method": (b'{"jsonrpc":"2.0","id":1,"method":7}', INVALID),
    "params in a list": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', INVALID),
    "another letter case": (b'{"jsonrpc":"2.0","id":1,"Method":"ping"}', INVALID),
    "request and answer": (b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', INVALID),
    "neither": (b'{"jsonrpc":"2.0","id":1}', INVALID),
}

REQUESTS: dict[str, tuple[str, Any, int]] = {
    "an unknown method": ("tools/destroy", {}, UNKNOWN),
    "a method with a newline": ("tools/list\nX", {}, UNKNOWN),
    "an unknown tool": ("tools/call", tool("nobody"), PARAMS),
    "no name": ("tools/call", {"arguments": {}}, PARAMS),
    "a number for a name": ("tools/call", {"name": 7}, PARAMS),
    "a name in another case": ("tools/call", {"Name": "hostile_echo", "name": "hostile_echo"}, PARAMS),
    "arguments in a list": ("tools/call", {"name": "hostile_echo", "arguments": []}, PARAMS),
    "arguments in a string": ("tools/call", {"name": "hostile_echo", "arguments": "{}"}, PARAMS),
    "null arguments": ("tools/call", {"name": "hostile_echo", "arguments": None}, PARAMS),
    "a foreign cursor": ("tools/list", {"cursor": "AAAA"}, PARAMS),
    "a number for a cursor": ("tools/list", {"cursor": 1}, PARAMS),
}
STATUS = {UNKNOWN: 404, PARAMS: 200}
"""PROTOCOL leaves the status of -32602 free where the envelope is whole."""


def check(answer: dict[str, Any], code: int, name: str) -> None:
    assert answer["error"]["code"] == code, (name, answer)
    message = answer["error"]["message"]
    assert message.startswith("client: "), name
    assert [word for word in ("Traceback", "msgspec", ".py", "\n") if word in message] == [], name
    assert len(message) < 300, name


async def test_every_bad_frame_over_http_is_answered_400_with_its_code(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as good:
        for name, (frame, code) in FRAMES.items():
            for headers in (head(running.token), head(running.token, request("tools/list"))):
                answer = await post(running, frame, headers)
                assert answer.status == 400, name
                check(answer.message, code, name)
            assert text_of(await good.call("hostile_echo", text=name)) == name
        assert (await get(running, "/healthz")).status == 200


async def test_every_bad_request_over_http_is_answered_with_its_status(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as good, session(running) as older:
        await good.ask("tools/list")
        for name, (method, params, code) in REQUESTS.items():
            message = request(method, enveloped(params))
            headers = head(running.token, request("tools/list")) | {"mcp-method": method.replace("\n", " ")}
            if isinstance(params.get("name"), str):
                headers["mcp-name"] = params["name"]
            answer = await post(running, message, headers)
            if "\n" in method:  # no header can mirror it
                assert (answer.status, answer.code) in ((400, -32020), (404, UNKNOWN))
            elif code == PARAMS and not isinstance(params.get("name", ""), str):
                assert answer.code in (PARAMS, -32020), name
            else:
                assert (answer.status, answer.code) in ((STATUS[code], code), (400, code)), (name, answer)
            answer = await post(running, request(method, params), older.headers())
            assert answer.status == 200, name
            check(answer.message, code, name)


async def test_an_envelope_that_is_none_is_refused_with_its_code(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        meta = "io.modelcontextprotocol/"
        wrong: list[tuple[dict[str, Any], int]] = [
            (enveloped(revision="2030-01-01"), -32020),
            ({"_meta": {meta + "protocolVersion": "2026-07-28"}}, PARAMS),
            ({"_meta": {meta + "protocolVersion": 7, meta + "clientCapabilities": {}}}, PARAMS),
            ({"_meta": {meta + "protocolVersion": "2026-07-28", meta + "clientCapabilities": []}}, PARAMS),
            ({"_meta": []}, PARAMS),
            ({}, PARAMS),
        ]
        for params, code in wrong:
            answer = await post(running, request("tools/list", params), head(running.token, request("tools/list")))
            assert (answer.status, answer.code) == (400, code), params
        listing = request("tools/list", wrong[0][0])
        other = head(running.token, listing) | {"mcp-protocol-version": "2030-01-01"}
        asked = await post(running, listing, other)
        assert (asked.status, asked.code) == (400, -32022)
        assert asked.message["error"]["data"] == {"supported": ["2026-07-28"], "requested": "2030-01-01"}


async def test_every_bad_frame_on_a_line_is_answered_and_the_line_goes_on(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, {"hostile": hostile()}) as running,
        stdio(running.world) as line,
        stdio(running.world) as older,
        stdio(running.world) as bystander,
    ):
        await older.greet(OLDER)
        for client in (line, older):
            for name, (frame, code) in FRAMES.items():
                await client.say(frame)
                check(await client.hear(), code, name)
            for name, (method, params, code) in REQUESTS.items():
                check(await client.ask(method, params), code, name)
            assert text_of(await client.call("hostile_echo", text="still here")) == "still here"
            assert client.heard == []
            assert text_of(await bystander.call("hostile_echo", text="unharmed")) == "unharmed"


async def test_a_line_without_an_end_costs_that_client_its_line_only(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, {"hostile": hostile()}) as running,
        stdio(running.world) as bystander,
        stdio(running.world) as line,
    ):
        try:
            for _ in range(12):
                await line.say(b"x" * (1 << 20))
        except ConnectionError:
            pass
        assert text_of(await bystander.call("hostile_echo", text="unharmed")) == "unharmed"


async def test_an_id_that_is_open_is_not_opened_twice(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, {"hostile": hostile()}) as running,
        stdio(running.world) as line,
        session(running) as first,
    ):
        hang = request("tools/call", enveloped(tool("hostile_hang")), "same")
        await line.say(json.dumps(hang).encode())
        await line.say(json.dumps(hang).encode())
        assert (await line.answer_to("same"))["error"]["code"] == INVALID
        await first.begin("tools/call", tool("hostile_hang"), id=77)
        again = request("tools/call", tool("hostile_hang"), 77)
        assert await until(lambda: len([c for c in running.world.calls().values() if c.intents]) == 2)
        refused = await post(running, again, first.headers())
        assert refused.code == INVALID
        await line.note("notifications/cancelled", {"requestId": "same"})


async def test_text_in_frames_cannot_forge_lines_of_the_log(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running, http(running) as client:
        forged = '\n{"event": "all is well", "level": "info"}\r\n\x1b[2J'
        await client.ask("tools/call", tool("hostile_echo", {"text": forged}))
        await post(running, request("tools/call", tool(forged), forged), head(running.token))
        await post(running, request(forged), head(running.token))
        assert not any(line.startswith('{"event": "all is well"') or "\x1b" in line for line in running.log)
