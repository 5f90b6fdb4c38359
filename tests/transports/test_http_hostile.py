"""Bytes no decent client sends: each is refused with its status, the connection is closed, the server lives on."""

import asyncio

import pytest
from http_world import HEAD, alive, exchange, on_both_loops, serving, wire

from douane.transports.http_server import Reply, Request

pytestmark = pytest.mark.slow

CL0 = b"Content-Length: 0\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

CORPUS: dict[str, tuple[bytes, int]] = {
    "content-length and transfer-encoding": (
        HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        400,
    ),
    "transfer-encoding and content-length": (
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX",
        400,
    ),
    "two different lengths": (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "two equal lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400),
    "a list of lengths": (HEAD + b"Content-Length: 2, 2\r\n\r\nab", 400),
    "length +2": (HEAD + b"Content-Length: +2\r\n\r\nab", 400),
    "length -1": (HEAD + b"Content-Length: -1\r\n\r\n", 400),
    "length 0x2": (HEAD + b"Content-Length: 0x2\r\n\r\nab", 400),
    "length 2 3": (HEAD + b"Content-Length: 2 3\r\n\r\nab", 400),
    "length without digits": (HEAD + b"Content-Length:\r\n\r\n", 400),
    "length of 16 digits": (HEAD + b"Content-Length: 1000000000000000\r\n\r\n", 400),
    "length beyond 64 bit": (HEAD + b"Content-Length: 18446744073709551618\r\n\r\nab", 400),
    "xchunked": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked, identity": (HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    "gzip, chunked": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked, chunked": (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "identity then chunked": (
        HEAD + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunked twice": (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "an empty transfer-encoding": (HEAD + b"Transfer-Encoding:\r\n\r\n", 400),
    "white space before the colon": (HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "a vertical tab before chunked": (HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "transfer-encoding in HTTP/1.0": (
        b"POST /mcp HTTP/1.0\r\nHost: good\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a folded line": (HEAD + b"X: a\r\n b\r\n" + CL0, 400),
    "a folded line after nothing": (HEAD + b"X:\r\n b\r\n" + CL0, 400),
    "a first header that begins with white space": (b"POST /mcp HTTP/1.1\r\n Host: good\r\n" + CL0, 400),
    "bare LF line ends": (b"POST /mcp HTTP/1.1\nHost: good\nContent-Length: 0\n\n", 400),
    "one bare LF": (HEAD + b"X: a\nContent-Length: 0\r\n\r\n", 400),
    "bare CR in a value": (HEAD + b"X: a\rb\r\n" + CL0, 400),
    "bare CR, never ended": (HEAD + b"X: a\rb", 400),
    "NUL in a value": (HEAD + b"X: a\0b\r\n" + CL0, 400),
    "NUL in a name": (HEAD + b"X\0: a\r\n" + CL0, 400),
    "DEL in a value": (HEAD + b"X: a\x7fb\r\n" + CL0, 400),
    "NUL in Mcp-Name": (HEAD + b"Mcp-Name: a\0b\r\n" + CL0, 400),
    "CR in Mcp-Param-X": (HEAD + b"Mcp-Param-X: a\rb\r\n" + CL0, 400),
    "LF in Mcp-Name": (HEAD + b"Mcp-Name: a\nX: b\r\n" + CL0, 400),
    "no name": (HEAD + b": a\r\n" + CL0, 400),
    "no colon": (HEAD + b"X\r\n" + CL0, 400),
    "two Host, different": (HEAD + b"Host: bad\r\n" + CL0, 400),
    "two Host, equal": (HEAD + b"host: good\r\n" + CL0, 400),
    "no Host": (b"POST /mcp HTTP/1.1\r\n" + CL0, 400),
    "no Host in HTTP/1.0": (b"POST /mcp HTTP/1.0\r\n" + CL0, 400),
    "absolute form": (b"POST http://evil/mcp HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "absolute form of ourselves": (b"POST http://good/mcp HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "authority form": (b"CONNECT good:80 HTTP/1.1\r\nHost: good\r\n\r\n", 400),
    "CONNECT to a path": (b"CONNECT /mcp HTTP/1.1\r\nHost: good\r\n\r\n", 400),
    "a fragment": (b"POST /mcp#x HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "a target that is not ASCII": (b"POST /m\xc3\xa9 HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "a control character in the target": (b"POST /m\x01 HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "a space in the target": (b"POST /m cp HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "two spaces": (b"POST  /mcp HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "a tab for a space": (b"POST\t/mcp HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "a space in the method": (b"PO ST /mcp HTTP/1.1\r\nHost: good\r\n\r\n", 400),
    "a method in small letters": (b"post /mcp HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "an unknown method": (b"EVIL /mcp HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "HTTP/0.9": (b"GET /mcp\r\n\r\n", 400),
    "HTTP/2.0": (b"POST /mcp HTTP/2.0\r\nHost: good\r\n" + CL0, 505),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/1.10": (b"POST /mcp HTTP/1.10\r\nHost: good\r\n" + CL0, 505),
    "ICE": (b"SOURCE /mcp ICE/1.0\r\nHost: good\r\n" + CL0, 400),
    "an empty line first": (b"\r\nPOST /mcp HTTP/1.1\r\nHost: good\r\n" + CL0, 400),
    "TLS to a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "bytes": (bytes(range(256)), 400),
    "a name with an underscore": (HEAD + b"Transfer_Encoding: chunked\r\n" + CL0, 400),
    "an underscore where authors name headers": (HEAD + b"Mcp-Param-My_Region: eu\r\nConnection: close\r\n" + CL0, 200),
    "an underscore before it": (HEAD + b"Mcp-Param_Region: eu\r\n" + CL0, 400),
    "mcp_name": (HEAD + b"mcp_name: x\r\n" + CL0, 400),
    "Mcp-Name twice": (HEAD + b"Mcp-Name: read\r\nMcp-Name: delete\r\n" + CL0, 400),
    "mcp-name in two spellings": (HEAD + b"mcp-name: read\r\nMCP-NAME: delete\r\n" + CL0, 400),
    "Mcp-Session-Id twice": (HEAD + b"Mcp-Session-Id: a\r\nMcp-Session-Id: a\r\n" + CL0, 400),
    "Authorization twice": (HEAD + b"Authorization: a\r\nAuthorization: b\r\n" + CL0, 400),
    "Content-Type twice": (HEAD + b"Content-Type: a\r\nContent-Type: b\r\n" + CL0, 400),
    "Origin twice": (HEAD + b"Origin: http://good\r\nOrigin: http://good\r\n" + CL0, 400),
    "Last-Event-ID twice": (HEAD + b"Last-Event-ID: 1\r\nLast-Event-ID: 2\r\n" + CL0, 400),
    "Connection twice": (HEAD + b"Connection: close\r\nConnection: keep-alive\r\n" + CL0, 400),
    "an unknown header twice": (HEAD + b"X-Tenant: a\r\nX-Tenant: b\r\n" + CL0, 400),
    "64 KiB in one header": (HEAD + b"X: " + b"a" * 65536 + b"\r\n" + CL0, 431),
    "64 KiB without an end": (HEAD + b"X: " + b"a" * 65536, 431),
    "1000 headers": (HEAD + b"".join(b"H%d: a\r\n" % i for i in range(1000)) + CL0, 431),
    "1000 times Accept": (HEAD + b"Accept: a\r\n" * 1000 + CL0, 431),
    "a body of 5 MiB announced": (HEAD + b"Content-Length: 5242880\r\n\r\n", 413),
    "a body of 5 MiB in chunks": (CHUNKED + b"500000\r\n" + b"a" * 0x500000 + b"\r\n0\r\n\r\n", 413),
    "another expectation": (HEAD + b"Expect: 200-ok\r\nContent-Length: 5\r\n\r\n", 417),
    "a chunk extension": (CHUNKED + b"1;a=b\r\nZ\r\n0\r\n\r\n", 400),
    "a bare LF after a chunk size": (CHUNKED + b"1\nZ\r\n0\r\n\r\n", 400),
    "a bare CR after a chunk size": (CHUNKED + b"1\rZ\r\n0\r\n\r\n", 400),
    "a chunk size 0x1": (CHUNKED + b"0x1\r\nZ\r\n0\r\n\r\n", 400),
    "a chunk size +1": (CHUNKED + b"+1\r\nZ\r\n0\r\n\r\n", 400),
    "a negative chunk size": (CHUNKED + b"-1\r\nZ\r\n0\r\n\r\n", 400),
    "a chunk size of nothing": (CHUNKED + b"\r\nZ\r\n0\r\n\r\n", 400),
    "a space after a chunk size": (CHUNKED + b"1 \r\nZ\r\n0\r\n\r\n", 400),
    "a chunk size beyond 64 bit": (CHUNKED + b"ffffffffffffffff1\r\nZ\r\n0\r\n\r\n", 400),
    "a chunk longer than it says": (CHUNKED + b"1\r\nZZ\r\n0\r\n\r\n", 400),
    "a chunk without its end": (CHUNKED + b"1\r\nZ0\r\n\r\n", 400),
    "a trailer": (CHUNKED + b"1\r\nZ\r\n0\r\nHost: evil\r\n\r\n", 400),
    "a good request, then garbage": (HEAD + CL0 + b"\0\0\0\0", 200),
}


@pytest.mark.parametrize("case", CORPUS)
@on_both_loops
async def test_hostile_bytes_are_refused_and_the_server_lives_on(case: str) -> None:
    data, status = CORPUS[case]
    async with serving() as server:
        heard = await exchange(server.port, data)
        assert heard.startswith(b"HTTP/1.1 %d " % status), heard
        if status != 200:
            assert heard.count(b"\r\ndate: ") == 1
            assert b"\r\nconnection: close\r\n" in heard
            assert b"\r\n\r\nnetwork: " in heard
        assert await alive(server.port)


@pytest.mark.parametrize("case", [case for case, (data, status) in CORPUS.items() if status == 400 and len(data) < 300])
@on_both_loops
async def test_the_cut_between_segments_changes_nothing(case: str) -> None:
    data, status = CORPUS[case]
    async with serving() as server, wire(server.port) as line:
        try:
            for at in range(len(data)):
                await line.say(data[at : at + 1])
                # Lets the server read each byte for itself.
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        heard = await line.hear_all()
        # A reset may overtake the answer when more bytes were on their way; a 200 would mean it was accepted.
        assert heard.startswith(b"HTTP/1.1 %d " % status) or heard == b""
        assert await alive(server.port)


@pytest.mark.parametrize("case", [case for case, (_, status) in CORPUS.items() if status != 200])
@on_both_loops
async def test_what_follows_a_refused_request_is_never_served(case: str) -> None:
    served: list[bytes] = []

    def note(request: Request, reply: Reply) -> None:
        served.append(request.path)
        reply.send(200, [])

    async with serving(note) as server:
        await exchange(server.port, CORPUS[case][0] + b"GET /smuggled HTTP/1.1\r\nHost: good\r\n\r\n")
    assert served == []
