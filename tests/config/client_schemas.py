"""What the clients' own readers take, from their documentation and published types, as strict schemas.

VS Code: the schema of `mcp.json` in its source. Continue: the types of its `config-yaml` package. The others document
examples and fields; nothing beyond those is let through here.
"""

from typing import Any

_TEXTS = {"type": "array", "items": {"type": "string"}}
_MAP = {"type": "object", "additionalProperties": {"type": "string"}}
_STRING = {"type": "string"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _servers(key: str, *kinds: dict[str, Any], **more: Any) -> dict[str, Any]:
    return _object([key], **{key: {"type": "object", "additionalProperties": {"oneOf": list(kinds)}}}, **more)


_STDIO = _object(["command"], command=_STRING, args=_TEXTS, env=_MAP)
_TYPED_STDIO = _object(["command"], type={"const": "stdio"}, command=_STRING, args=_TEXTS, env=_MAP)
_HTTP = _object(
    ["type", "url"], type={"enum": ["http", "sse"]}, url={"type": "string", "pattern": "^https?://.+"}, headers=_MAP
)
_PROMPT = _object(
    ["id", "type", "description"],
    id=_STRING,
    type={"const": "promptString"},
    description=_STRING,
    default=_STRING,
    password={"type": "boolean"},
)
_CONTINUE_STDIO = _object(
    ["name", "command"], name=_STRING, type={"const": "stdio"}, command=_STRING, args=_TEXTS, env=_MAP, cwd=_STRING
)
_CONTINUE_HTTP = _object(
    ["name", "url"],
    name=_STRING,
    type={"enum": ["sse", "streamable-http"]},
    url=_STRING,
    requestOptions=_object([], headers=_MAP),
)

SCHEMAS: dict[str, dict[str, Any]] = {
    "claude-desktop": _servers("mcpServers", _STDIO, globalShortcut=_STRING),
    "claude-code": _servers("mcpServers", _TYPED_STDIO, _HTTP),
    "vscode": _servers("servers", _TYPED_STDIO, _HTTP, inputs={"type": "array", "items": _PROMPT}),
    "cursor": _servers("mcpServers", _TYPED_STDIO, _object(["url"], url=_STRING, headers=_MAP)),
    "windsurf": _servers("mcpServers", _STDIO, _object(["serverUrl"], serverUrl=_STRING, headers=_MAP)),
    "continue": _object(
        ["name", "version", "mcpServers"],
        name=_STRING,
        version=_STRING,
        schema={"const": "v1"},
        mcpServers={"type": "array", "items": {"oneOf": [_CONTINUE_STDIO, _CONTINUE_HTTP]}},
    ),
    "generic": _servers("mcpServers", _TYPED_STDIO, _HTTP),
}
