"""A minimal MCP server over stdio (2025-11-25) that misbehaves on request. Standard library only.

    python server.py [MODE ...]

Without a mode it is a plain server: `initialize`, `ping`, `tools/list`, `tools/call`. Modes, in any number:

    garbage            prints a log line, a banner and an empty line to stdout before serving
    dies-at-start      says why on stderr, exits with status 3 before it reads anything
    dies-on-initialize exits with status 4 when asked to initialize
    never-initialises  reads, and never answers initialize
    never-reads        never reads its stdin
    slow-start         waits one second before it serves
    closes-stdout      closes its stdout at once and lives on
    deaf               ignores SIGTERM
    ignores-eof        lives on after the end of its stdin
    stderr-flood       writes 256 KiB to stderr before each answer
    setsid             starts a grandchild in a session of its own, which holds our stdout
    daemon             starts a grandchild by a double fork, with streams of its own
    fork               serves in a forked child; the first process waits for it
    count=PATH         `count` appends a byte to PATH for each call, so that a count survives the process

Tools; each misbehaves in that one call:

    echo {text}        answers with the text
    count              answers how often it was called
    slow {ms}          answers after that time
    hang               never answers
    die {status|signal} ends the process in mid-call
    flood {count}      that many progress notifications (default 10000), then the answer
    stderr {bytes}     writes that much to stderr (default 256 KiB), then answers
    garbage            lines on stdout that are no messages, then the answer
    giant {bytes}      one line of that length without an end (default 64 MiB)
    big {bytes}        an answer whose text has that length
    wrong_id           answers an id nobody asked with, then the right one
    string_id          answers with the id as a string, then the right one
    duplicate          answers twice
    late               answers `hang` calls of before, after its own answer
    null_id            answers with id null, then the right one
    no_id              a message that is neither request, answer nor notification, then the answer
    batch              the answer inside an array
    deep {depth}       an answer nested that deep (default 100000)
    nan                an answer that holds NaN and -Infinity
    duplicate_keys     an answer with the key `result` twice
    huge_int           an answer that holds an integer of 400 digits
    bad_utf8           an answer with bytes that are no UTF-8
    escapes            an answer with terminal escapes and a line separator in its text
    list_changed {count} that many notifications that the tools changed, then the answer
    asks               asks the client for roots, with an id equal to the call's, then answers
    error              a JSON-RPC error that leaks a path and a secret
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

Arguments = dict[str, Any]


def put(line: bytes) -> None:
    """Write to stdout whole, without Python's own buffers."""
    view = memoryview(line)
    while view:
        view = view[os.write(1, view) :]


def tell(message: Any) -> None:
    put(json.dumps(message, separators=(",", ":")).encode() + b"\n")


def flood_stderr(size: int) -> None:
    line = b"the server is talking to itself again and again and again....\n"
    left = size
    while left > 0:
        left -= os.write(2, (line * 1024)[: min(left, 60_000)])


class Server:
    def __init__(self, modes: list[str]) -> None:
        self.modes = modes
        self.count = 0
        self.count_path = next((mode[6:] for mode in modes if mode.startswith("count=")), None)
        self.hung: list[Any] = []
        self.token: Any = None
        self.tools: dict[str, Callable[[Any, Arguments], None]] = {
            name[5:]: getattr(self, name) for name in dir(self) if name.startswith("tool_")
        }

    def serve(self) -> None:
        for line in sys.stdin.buffer:
            if line.strip():
                self.hear(json.loads(line))
        while "ignores-eof" in self.modes:
            signal.pause()

    def hear(self, message: Any) -> None:
        method, number = message.get("method"), message.get("id")
        if number is None or method is None:
            return
        if "stderr-flood" in self.modes:
            flood_stderr(256 * 1024)
        if method == "initialize":
            self.initialize(number)
        elif method == "ping":
            tell({"jsonrpc": "2.0", "id": number, "result": {}})
        elif method == "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in self.tools]
            tell({"jsonrpc": "2.0", "id": number, "result": {"tools": tools}})
        elif method == "tools/call":
            self.call(number, message["params"])
        else:
            tell({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "Method not found"}})

    def initialize(self, number: Any) -> None:
        if "dies-on-initialize" in self.modes:
            os._exit(4)
        if "never-initialises" in self.modes:
            return
        result = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "hostile", "version": "1"},
        }
        tell({"jsonrpc": "2.0", "id": number, "result": result})

    def call(self, number: Any, params: Any) -> None:
        self.token = (params.get("_meta") or {}).get("progressToken")
        tool = self.tools.get(params["name"])
        if tool is None:
            tell({"jsonrpc": "2.0", "id": number, "error": {"code": -32602, "message": "Unknown tool"}})
        else:
            tool(number, params.get("arguments") or {})

    def answer(self, number: Any, text: str = "done") -> None:
        tell({"jsonrpc": "2.0", "id": number, "result": {"content": [{"type": "text", "text": text}]}})

    def raw(self, number: Any, value: str) -> None:
        """An answer whose structured value is written as it stands."""
        start = f'{{"jsonrpc":"2.0","id":{json.dumps(number)},"result":{{"content":[],"structuredContent":'
        put(f'{start}{{"value":{value}}}}}}}\n'.encode())

    def tool_echo(self, number: Any, arguments: Arguments) -> None:
        self.answer(number, str(arguments.get("text", "")))

    def tool_count(self, number: Any, arguments: Arguments) -> None:
        self.count += 1
        if self.count_path is None:
            self.answer(number, str(self.count))
            return
        with open(self.count_path, "ab") as counter:
            counter.write(b".")
        self.answer(number, str(os.stat(self.count_path).st_size))

    def tool_slow(self, number: Any, arguments: Arguments) -> None:
        time.sleep(arguments.get("ms", 100) / 1000)
        self.answer(number)

    def tool_hang(self, number: Any, arguments: Arguments) -> None:
        self.hung.append(number)

    def tool_die(self, number: Any, arguments: Arguments) -> None:
        os.write(2, b"the server dies in the middle of a call\n")
        if "signal" in arguments:
            os.kill(os.getpid(), arguments["signal"])
        os._exit(arguments.get("status", 7))

    def tool_flood(self, number: Any, arguments: Arguments) -> None:
        for done in range(arguments.get("count", 10_000)):
            params = {"progressToken": self.token, "progress": done}
            tell({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        self.answer(number)

    def tool_stderr(self, number: Any, arguments: Arguments) -> None:
        flood_stderr(arguments.get("bytes", 256 * 1024))
        self.answer(number)

    def tool_garbage(self, number: Any, arguments: Arguments) -> None:
        put(b"INFO: working on it\n\nTraceback (most recent call last):\r\n\x00\x1b[31m\xff\n")
        self.answer(number)

    def tool_giant(self, number: Any, arguments: Arguments) -> None:
        left = arguments.get("bytes", 64 * 1024 * 1024)
        put(b'{"jsonrpc":"2.0","method":"')
        while left > 0:
            put(b"x" * min(left, 65_536))
            left -= 65_536

    def tool_big(self, number: Any, arguments: Arguments) -> None:
        self.answer(number, "x" * arguments.get("bytes", 1024 * 1024))

    def tool_wrong_id(self, number: Any, arguments: Arguments) -> None:
        self.answer(987_654_321, "for nobody")
        self.answer(number)

    def tool_string_id(self, number: Any, arguments: Arguments) -> None:
        self.answer(f"{number}", "as a string")
        self.answer(number)

    def tool_duplicate(self, number: Any, arguments: Arguments) -> None:
        self.answer(number, "first")
        self.answer(number, "second")

    def tool_late(self, number: Any, arguments: Arguments) -> None:
        self.answer(number)
        for hung in self.hung:
            self.answer(hung, "late")
        self.hung.clear()

    def tool_null_id(self, number: Any, arguments: Arguments) -> None:
        self.answer(None, "for null")
        self.answer(number)

    def tool_no_id(self, number: Any, arguments: Arguments) -> None:
        tell({"jsonrpc": "2.0", "result": {}})
        self.answer(number)

    def tool_batch(self, number: Any, arguments: Arguments) -> None:
        tell([{"jsonrpc": "2.0", "id": number, "result": {"content": []}}])

    def tool_deep(self, number: Any, arguments: Arguments) -> None:
        depth = arguments.get("depth", 100_000)
        self.raw(number, "[" * depth + "]" * depth)

    def tool_nan(self, number: Any, arguments: Arguments) -> None:
        self.raw(number, "[NaN,-Infinity]")

    def tool_duplicate_keys(self, number: Any, arguments: Arguments) -> None:
        first, second = '"result":{"content":[]}', '"result":{"content":[],"isError":true}'
        put(f'{{"jsonrpc":"2.0","id":{json.dumps(number)},{first},{second}}}\n'.encode())

    def tool_huge_int(self, number: Any, arguments: Arguments) -> None:
        self.raw(number, "9" * 400)

    def tool_bad_utf8(self, number: Any, arguments: Arguments) -> None:
        put(b'{"jsonrpc":"2.0","id":%s,"result":{"x":"\xff\xc0\xaf"}}\n' % json.dumps(number).encode())

    def tool_escapes(self, number: Any, arguments: Arguments) -> None:
        self.answer(number, "\x1b[2Jcleared\u2028next\u202edrawkcab\r\n")

    def tool_list_changed(self, number: Any, arguments: Arguments) -> None:
        for _ in range(arguments.get("count", 200)):
            tell({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        self.answer(number)

    def tool_asks(self, number: Any, arguments: Arguments) -> None:
        tell({"jsonrpc": "2.0", "id": number, "method": "roots/list"})
        self.answer(number)

    def tool_error(self, number: Any, arguments: Arguments) -> None:
        text = "cannot open /home/alice/.ssh/id_ed25519 with token sk-hostile-0123456789"
        tell({"jsonrpc": "2.0", "id": number, "error": {"code": -32603, "message": text}})


def start_grandchild(*, daemon: bool) -> None:
    pid = os.fork()
    if pid:
        if daemon:
            os.waitpid(pid, 0)
        return
    os.setsid()
    if daemon:
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
    os.execvp("sleep", ["sleep", "600"])


def start_badly(modes: list[str]) -> None:
    """What goes wrong before the first message."""
    if "deaf" in modes:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "dies-at-start" in modes:
        os.write(2, b"cannot find \x1b[31mthe database\n")
        os._exit(3)
    if "slow-start" in modes:
        time.sleep(1)
    if "setsid" in modes:
        start_grandchild(daemon=False)
    if "daemon" in modes:
        start_grandchild(daemon=True)
    if "fork" in modes:
        pid = os.fork()
        if pid:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    if "garbage" in modes:
        put(b"hostile server v1\nlistening...\n\n")
    if "closes-stdout" in modes:
        os.close(1)
    while "never-reads" in modes or "closes-stdout" in modes:
        signal.pause()


if __name__ == "__main__":
    start_badly(sys.argv[1:])
    Server(sys.argv[1:]).serve()
