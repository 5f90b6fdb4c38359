"""Apps: tools that are shown by a page, which a client reads at a `ui://` resource and draws beside the answer.

What a page is and may is between the client and its server; here is only who knows of it, and which resource is meant.
Spec: modelcontextprotocol/ext-apps specification (client and server capabilities; tool `_meta.ui`).
"""

from typing import Any, cast

from ..wire.json import is_object
from .call import JSON

__all__ = ["APPS", "MIME", "OFFERED", "draws", "page_of", "pointing", "with_apps"]

APPS = "io.modelcontextprotocol/ui"
MIME = "text/html;profile=mcp-app"
OFFERED: dict[str, Any] = {APPS: {"mimeTypes": [MIME]}}
"""The extension with its settings, as a client declares it; a server says nothing more than its name."""
_OLDER = "ui/resourceUri"
"""Where `_meta` of a tool named its page at first; still written and read by some."""


def draws(capabilities: JSON) -> bool:
    """Whether who declares these shows the pages of tools."""
    extensions: object = capabilities.get("extensions")
    said: object = extensions.get(APPS) if is_object(extensions) else None
    types: object = said.get("mimeTypes") if is_object(said) else None
    return isinstance(types, list) and MIME in cast("list[object]", types)


def with_apps(capabilities: JSON) -> dict[str, Any]:
    """`capabilities` of who shows the pages of tools, too."""
    extensions: JSON = capabilities.get("extensions", {})
    return {**capabilities, "extensions": {**extensions, **OFFERED}}


def page_of(tool: JSON) -> str | None:
    """The URI of the page that shows what `tool` does."""
    meta: object = tool.get("_meta")
    if not is_object(meta):
        return None
    ui: object = meta.get("ui")
    older: object = meta.get(_OLDER)
    uri: object = ui.get("resourceUri", older) if is_object(ui) else older
    return uri if isinstance(uri, str) else None


def pointing(tool: JSON, uri: str) -> dict[str, Any]:
    """`tool`, which has a page, with that at `uri`."""
    meta: dict[str, Any] = dict(tool["_meta"])
    if is_object(meta.get("ui")):
        meta["ui"] = {**meta["ui"], "resourceUri": uri}
    if _OLDER in meta:
        meta[_OLDER] = uri
    return {**tool, "_meta": meta}
