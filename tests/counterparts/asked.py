"""What every Python client here is asked, and the one JSON document it answers with. The client itself differs.

    client --url URL [--token T] | --stdio COMMAND...   [--calls '[{"name": ..., "arguments": ...}]'] [--mode MODE]
           [--answers '{"elicitation/create": ..., "sampling/createMessage": ..., "roots/list": ...}']

A call is of a tool unless it has a `method`: `resources/read` (`uri`), `prompts/get` (`name`, `arguments`) or
`completion/complete` (`ref`, `argument`, `context`). With `progress`, what a tool tells of its progress is listed.
What it has answers for it declares, and `asked` lists what it was asked. `--stdio` takes the rest of the line. Exit 0: connected, whatever was answered; 1: not connected, `error` says why.
Runs in either of the two environments, so it imports nothing but the standard library.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

LISTS = (
    ("tools", "tools", "list_tools", "tools"),
    ("resources", "resources", "list_resources", "resources"),
    ("resourceTemplates", "resources", "list_resource_templates", "resourceTemplates"),
    ("prompts", "prompts", "list_prompts", "prompts"),
)

Refer = Callable[[dict[str, Any]], Any]
"""Makes the reference of a completion."""


def asked(argv: list[str]) -> argparse.Namespace:
    """The line, with `command` and `calls` decoded."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url")
    parser.add_argument("--token")
    parser.add_argument("--calls", type=json.loads, default=[])
    parser.add_argument("--answers", type=json.loads, default={})
    parser.add_argument("--mode", default="auto")
    parser.add_argument("--stdio", dest="command", nargs=argparse.REMAINDER, default=[])
    found = parser.parse_args(argv)
    if bool(found.url) == bool(found.command):
        parser.error("one of --url and --stdio")
    return found


def plain(model: Any) -> Any:
    """A model as it came over the wire."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def fault(error: BaseException) -> dict[str, Any]:
    """Task groups wrap what happened: the first cause is told."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    about = getattr(error, "error", None)
    status = getattr(getattr(error, "response", None), "status_code", None)
    told = {
        "type": type(error).__name__,
        "message": str(error),
        "code": getattr(about, "code", None),
        "data": getattr(about, "data", None),
        "status": status,
    }
    return {key: value for key, value in told.items() if value is not None}


CALLBACKS = {
    "elicitation/create": "elicitation_callback",
    "sampling/createMessage": "sampling_callback",
    "roots/list": "list_roots_callback",
}


def answering(line: argparse.Namespace, said: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """The callbacks of a client that answers as it was told. `results`: the SDK's type of result for each method."""

    def callback(method: str, result: Any) -> Any:
        async def answer(_context: Any, params: Any = None) -> Any:
            told = {} if params is None else plain(params)
            said.setdefault("asked", []).append({"method": method, "params": told})
            return results[method].model_validate(result)

        return answer

    return {CALLBACKS[method]: callback(method, result) for method, result in line.answers.items()}


async def listed(client: Any, method: str, key: str, page_by: Callable[[str | None], dict[str, Any]]) -> list[Any]:
    """Every page of a list."""
    items: list[Any] = []
    cursor: str | None = None
    while True:
        page = plain(await getattr(client, method)(**page_by(cursor)))
        items += page[key]
        cursor = page.get("nextCursor")
        if cursor is None:
            return items


async def asked_for(client: Any, call: dict[str, Any], refer: Refer, progress: list[Any]) -> Any:
    """What the client returns for one of the calls."""

    async def tell(*news: Any) -> None:
        progress.append(list(news))

    match call.get("method", "tools/call"):
        case "resources/read":
            return await client.read_resource(call["uri"])
        case "prompts/get":
            return await client.get_prompt(call["name"], call.get("arguments"))
        case "completion/complete":
            return await client.complete(refer(call["ref"]), call["argument"], call.get("context"))
        case _:
            told = {"progress_callback": tell} if call.get("progress") else {}
            return await client.call_tool(call["name"], call.get("arguments"), **told)


async def everything(
    client: Any,
    calls: list[dict[str, Any]],
    said: dict[str, Any],
    page_by: Callable[[str | None], dict[str, Any]],
    refer: Refer,
) -> None:
    """Ask for every list the server declared, then make the calls."""
    for name, capability, method, key in LISTS:
        if capability not in said["capabilities"]:
            continue
        try:
            said[name] = await listed(client, method, key, page_by)
        except Exception as exc:
            said[name] = {"error": fault(exc)}
    said["calls"] = []
    for call in calls:
        progress: list[Any] = []
        one: dict[str, Any] = {key: call[key] for key in ("method", "name") if key in call}
        try:
            one["result"] = plain(await asked_for(client, call, refer, progress))
        except Exception as exc:
            one["error"] = fault(exc)
        said["calls"].append(one | ({"progress": progress} if progress else {}))


def answer(sdk: str, talk: Callable[[argparse.Namespace, dict[str, Any]], Awaitable[None]]) -> None:
    """Run `talk`, which fills the document, and print it."""
    said: dict[str, Any] = {"sdk": sdk}

    async def run() -> None:
        await talk(asked(sys.argv[1:]), said)

    try:
        asyncio.run(run())
    except Exception as exc:
        said["error"] = fault(exc)
    print(json.dumps(said))
    sys.exit(1 if "error" in said else 0)
