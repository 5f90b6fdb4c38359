"""A server over stdio whose tools have a page, for clients that show pages. Standard library only.

    python apps_fixture.py [modern]

To others it lists `chart` without its page, as the extension says. `chart` answers with the extensions that are declared
for its call; `refresh` is for pages alone.
"""

import json
import sys
from typing import Any

URI = "ui://chart/page"
MIME = "text/html;profile=mcp-app"
HTML = "<!doctype html><title>Chart</title>"
UI = "io.modelcontextprotocol/ui"
MODERN = "modern" in sys.argv
_HINTS = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if MODERN else {}
_SCHEMA = {"type": "object"}
_CSP = {"ui": {"csp": {"connectDomains": ["https://charts.example"]}, "prefersBorder": True}}
_CAPABILITIES = {"tools": {}, "resources": {}}
_SERVER = {"name": "apps", "version": "1"}


def tools(draws: bool) -> list[Any]:
    if not draws:
        return [{"name": "chart", "inputSchema": _SCHEMA}]
    page = {"ui": {"resourceUri": URI, "visibility": ["model", "app"]}, "ui/resourceUri": URI}
    return [
        {"name": "chart", "inputSchema": _SCHEMA, "_meta": page},
        {"name": "refresh", "inputSchema": _SCHEMA, "_meta": {"ui": {"visibility": ["app"]}, "ui/resourceUri": URI}},
    ]


def answer(method: str, extensions: Any) -> Any:
    match method:
        case "server/discover" if MODERN:
            return {"supportedVersions": ["2026-07-28"], "capabilities": _CAPABILITIES}
        case "initialize" if not MODERN:
            return {"protocolVersion": "2025-11-25", "capabilities": _CAPABILITIES, "serverInfo": _SERVER}
        case "tools/list":
            return {"tools": tools(MIME in extensions.get(UI, {}).get("mimeTypes", []))}
        case "resources/list":
            return {"resources": [{"uri": URI, "name": "page", "mimeType": MIME, "_meta": _CSP}]}
        case "resources/read":
            return {"contents": [{"uri": URI, "mimeType": MIME, "text": HTML, "_meta": _CSP}]}
        case "tools/call":
            return {"content": [{"type": "text", "text": json.dumps(extensions)}]}
        case _:
            return None


def serve() -> None:
    declared: Any = {}
    for line in sys.stdin.buffer:
        message = json.loads(line)
        params = message.get("params") or {}
        if message.get("method") == "initialize":
            declared = params["capabilities"]
        elif MODERN:
            declared = params.get("_meta", {}).get("io.modelcontextprotocol/clientCapabilities", {})
        if "id" not in message:
            continue
        result = answer(message["method"], declared.get("extensions", {}))
        said = {"error": {"code": -32601, "message": "?"}} if result is None else {"result": {**result, **_HINTS}}
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
