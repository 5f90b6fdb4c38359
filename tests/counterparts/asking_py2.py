"""The like of `asking_py1.py` on the second major version: to clients of 2026-07-28 it asks by rounds.

asking_py2.py stdio | streamable-http        (over HTTP at $PORT of 127.0.0.1)
"""

import json
import os
import sys
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
    Tool,
)

server = MCPServer("asking2", log_level="WARNING")

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "default": 30}},
    "required": ["name"],
}
STATE = "exact ☂ state=="
"""Any change to it is noticed."""


def form(message: str = "who?") -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=PERSON))


def model() -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text="say hm"))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=9))


def page() -> ElicitRequest:
    params = ElicitRequestURLParams(message="visit", url="https://pay.example/1", elicitation_id="e-1")
    return ElicitRequest(params=params)


def said(ctx: Context, key: str) -> Any:
    """What was answered; None in the first round."""
    if ctx.input_responses is None or key not in ctx.input_responses:
        return None
    if ctx.request_state not in (STATE, STATE + key):
        raise ValueError(f"the state came back as {ctx.request_state!r}")
    return ctx.input_responses[key].model_dump(mode="json", by_alias=True, exclude_none=True)


def ask(state: str = STATE, **questions: Any) -> InputRequiredResult:
    return InputRequiredResult(input_requests=questions, request_state=state)


@server.tool()
async def ask_form(ctx: Context) -> str | InputRequiredResult:
    told = said(ctx, "person")
    return ask(person=form()) if told is None else json.dumps(told)


@server.tool()
async def ask_twice(ctx: Context) -> str | InputRequiredResult:
    second = said(ctx, "second")
    if second is not None:
        return json.dumps(second)
    first = said(ctx, "first")
    return ask(first=form("first?")) if first is None else ask(STATE + "second", second=form("second?"))


@server.tool()
async def ask_model(ctx: Context) -> str | InputRequiredResult:
    told = said(ctx, "model")
    return ask(model=model()) if told is None else json.dumps({"model": told["model"], "text": told["content"]["text"]})


@server.tool()
async def ask_model_with_tools(ctx: Context) -> str | InputRequiredResult:
    told = said(ctx, "model")
    if told is None:
        message = SamplingMessage(role="user", content=TextContent(type="text", text="which?"))
        tool = Tool(name="look", input_schema={"type": "object"})
        params = CreateMessageRequestParams(messages=[message], max_tokens=9, tools=[tool])
        return ask(model=CreateMessageRequest(params=params))
    part = told["content"][0] if isinstance(told["content"], list) else told["content"]
    return json.dumps({"wants": part["name"], "why": told["stopReason"]})


@server.tool()
async def ask_roots(ctx: Context) -> str | InputRequiredResult:
    told = said(ctx, "roots")
    return ask(roots=ListRootsRequest()) if told is None else json.dumps([root["uri"] for root in told["roots"]])


@server.tool()
async def ask_at_once(ctx: Context) -> str | InputRequiredResult:
    if said(ctx, "person") is None:
        return ask(person=form(), model=model())
    return json.dumps([said(ctx, "person"), {"text": said(ctx, "model")["content"]["text"]}])


@server.tool()
async def ask_page(ctx: Context) -> str | InputRequiredResult:
    told = said(ctx, "page")
    return ask(page=page()) if told is None else json.dumps(told)


@server.prompt()
async def asking(ctx: Context) -> str | InputRequiredResult:
    told = said(ctx, "person")
    return ask(person=form()) if told is None else json.dumps(told)


@server.resource("asking://{topic}")
async def about(topic: str, ctx: Context) -> str | InputRequiredResult:
    told = said(ctx, "person")
    return ask(person=form()) if told is None else json.dumps({"topic": topic, **told})


if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    server.run("streamable-http", host="127.0.0.1", port=int(os.environ["PORT"]))
