"""A well-behaved MCP server over stdio that writes down what reaches it. Standard library only.

    python witness.py SEEN [modern | REVISION] [NAME ...]

Each frame it gets is appended to the file SEEN as one line. Revision 2025-11-25, or with `modern` 2026-07-28, or the
one it is given. Tools:

    echo {text}        answers with the text
    wait               answers when `release` is called, or never after its cancellation
    release            lets all that wait go
    work {steps}       as many progress notifications and log messages, then the answer; then, like `wait`, nothing
                       more when `hold` is true
    NAME ...           further names, which answer with their own; but for one:
    ask {kinds}        asks the client for each of these, one after the other: `elicitation`, `sampling`, `roots`, `secret`
                       (a form with a password in it); the ids are that of the call. Then answers with what it was told,
                       as JSON

The tool list changes when a `release` carries `{"tools": [...]}`.
"""

import json
import os
import sys
from typing import Any

_REVISION = "2025-11-25"
_TOOLS = ("echo", "wait", "release", "work")
_FORM = {"type": "object", "properties": {"name": {"type": "string"}}}
_SECRET = {"type": "object", "properties": {"api_key": {"type": "string"}}}
_QUESTIONS: dict[str, Any] = {
    "elicitation": {"method": "elicitation/create", "params": {"message": "who?", "requestedSchema": _FORM}},
    "secret": {"method": "elicitation/create", "params": {"message": "key?", "requestedSchema": _SECRET}},
    "sampling": {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 9}},
    "roots": {"method": "roots/list", "params": {}},
}


def tell(message: Any) -> None:
    view = memoryview(json.dumps(message, separators=(",", ":")).encode() + b"\n")
    while view:
        view = view[os.write(1, view) :]


class Witness:
    def __init__(self, seen: str, modes: list[str]) -> None:
        self.seen = open(seen, "ab", buffering=0)  # noqa: SIM115 - as long as the process
        self.modern = "modern" in modes
        self.revision = next((mode for mode in modes if mode.startswith("20")), _REVISION)
        self.tools = [*_TOOLS, *(mode for mode in modes if mode not in ("modern", self.revision))]
        self.waiting: list[Any] = []
        self.asking: dict[Any, tuple[list[str], list[Any]]] = {}
        """By the id of its call: what is still to be asked, and what was told."""

    def serve(self) -> None:
        for line in sys.stdin.buffer:
            self.seen.write(line)
            self.hear(json.loads(line))

    def hear(self, message: Any) -> None:
        method, number, params = message.get("method"), message.get("id"), message.get("params") or {}
        if method == "notifications/cancelled":
            self.waiting = [waiting for waiting in self.waiting if waiting != params.get("requestId")]
        elif method is None:
            self.told(number, message.get("result", message.get("error")))
        elif number is None:
            return
        elif method == "tools/call":
            self.call(number, params["name"], params.get("arguments") or {}, params.get("_meta") or {})
        else:
            self.answer(number, self.listed(method))

    def listed(self, method: str) -> Any:
        server = {"name": "witness", "version": "1"}
        capabilities = {"tools": {"listChanged": True}, "logging": {}}
        hints = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if self.modern else {}
        if method == "tools/list":
            return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in self.tools], **hints}
        if method == "server/discover" and self.modern:
            return {"supportedVersions": ["2026-07-28"], "capabilities": capabilities, **hints}
        if method == "initialize" and not self.modern:
            return {"protocolVersion": self.revision, "capabilities": capabilities, "serverInfo": server}
        return None

    def answer(self, number: Any, result: Any) -> None:
        if result is None:
            tell({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "Method not found"}})
        else:
            tell({"jsonrpc": "2.0", "id": number, "result": result})

    def done(self, number: Any, text: str) -> None:
        result = {"content": [{"type": "text", "text": text}]}
        self.answer(number, {"resultType": "complete", **result} if self.modern else result)

    def call(self, number: Any, name: str, arguments: Any, meta: Any) -> None:
        if name == "wait":
            self.waiting.append(number)
        elif name == "release":
            self.release(arguments)
            self.done(number, "released")
        elif name == "work":
            self.work(number, arguments, meta)
        elif name == "ask":
            self.asking[number] = (list(arguments["kinds"]), [])
            self.ask(number)
        else:
            self.done(number, str(arguments.get("text", "")) if name == "echo" else name)

    def release(self, arguments: Any) -> None:
        for number in self.waiting:
            self.done(number, "waited")
        self.waiting.clear()
        if "tools" in arguments:
            self.tools = [*_TOOLS, *arguments["tools"]]
            tell({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})

    def ask(self, number: Any) -> None:
        left, told = self.asking[number]
        if left:
            tell({"jsonrpc": "2.0", "id": number, **_QUESTIONS[left.pop(0)]})
        else:
            del self.asking[number]
            self.done(number, json.dumps(told))

    def told(self, number: Any, said: Any) -> None:
        if number in self.asking:
            self.asking[number][1].append(said)
            self.ask(number)

    def work(self, number: Any, arguments: Any, meta: Any) -> None:
        for step in range(1, arguments.get("steps", 3) + 1):
            if "progressToken" in meta:
                progress = {"progressToken": meta["progressToken"], "progress": step, "message": f"step {step}"}
                tell({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress})
            said = {"level": "debug" if step == 1 else "warning", "data": f"said {step}"}
            tell({"jsonrpc": "2.0", "method": "notifications/message", "params": said})
        if arguments.get("hold"):
            self.waiting.append(number)
        else:
            self.done(number, "worked")


if __name__ == "__main__":
    Witness(sys.argv[1], sys.argv[2:]).serve()
