"""A server on the official Python SDK, first major version, that asks in mid-call and waits for the answer.

    asking_py1.py stdio | sse | streamable-http        (over HTTP at $PORT of 127.0.0.1)

Whatever it asks, it answers with what it was told, as JSON. Its `roots/list` always comes on the stream that belongs to no
call: that SDK knows no other way.
"""

import asyncio
import json
import os
import sys
from typing import Any

from mcp.server.fastmcp import Context, FastMCP
from mcp.types import SamplingMessage, TextContent, Tool
from pydantic import BaseModel

server = FastMCP("asking1", host="127.0.0.1", port=int(os.environ.get("PORT", "8000")), log_level="WARNING")

Ctx = Context[Any, Any, Any]


class Person(BaseModel):
    name: str
    age: int = 30


async def form(ctx: Ctx, message: str = "who?") -> Any:
    said = await ctx.elicit(message, Person)
    return {"action": said.action, "content": said.data.model_dump() if said.action == "accept" else None}


async def model(ctx: Ctx) -> Any:
    message = SamplingMessage(role="user", content=TextContent(type="text", text="say hm"))
    said = await ctx.session.create_message([message], max_tokens=9, related_request_id=ctx.request_id)
    return {"model": said.model, "text": said.content.text}


@server.tool()
async def ask_form(ctx: Ctx) -> str:
    return json.dumps(await form(ctx))


@server.tool()
async def ask_twice(ctx: Ctx) -> str:
    return json.dumps([await form(ctx, "first?"), await form(ctx, "second?")])


@server.tool()
async def ask_model(ctx: Ctx) -> str:
    return json.dumps(await model(ctx))


@server.tool()
async def ask_model_with_tools(ctx: Ctx) -> str:
    message = SamplingMessage(role="user", content=TextContent(type="text", text="which?"))
    tool = Tool(name="look", inputSchema={"type": "object"})
    said = await ctx.session.create_message([message], max_tokens=9, tools=[tool], related_request_id=ctx.request_id)
    part = said.content[0] if isinstance(said.content, list) else said.content
    return json.dumps({"wants": part.name, "why": said.stopReason})


@server.tool()
async def ask_roots(ctx: Ctx) -> str:
    return json.dumps([str(root.uri) for root in (await ctx.session.list_roots()).roots])


@server.tool()
async def ask_at_once(ctx: Ctx) -> str:
    return json.dumps(await asyncio.gather(form(ctx), model(ctx)))


@server.tool()
async def ask_page(ctx: Ctx) -> str:
    said = await ctx.elicit_url("visit", "https://pay.example/1", "e-1")
    return json.dumps({"action": said.action})


# The context that prompts and resources are given as a parameter is a copy that has lost its request.


@server.prompt()
async def asking() -> str:
    return json.dumps(await form(server.get_context()))


@server.resource("asking://{topic}")
async def about(topic: str) -> str:
    return json.dumps({"topic": topic, **await form(server.get_context())})


server.run(sys.argv[1])
