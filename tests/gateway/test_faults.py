"""A fault of the doors' own is an answer too: nobody waits for ever, and nothing of it is shown."""

import asyncio
import json

from peers import BOUND_S

from douane.flow.chain import Emit
from douane.gateway.app import ABOUT
from douane.protocol.call import Call, Principal
from douane.protocol.outcome import Complete, Outcome
from douane.registry.catalog import Catalog
from douane.sdk.line_door import LineDoor
from douane.sdk.listener import Listener
from douane.transports.memory import pair
from douane.wire import rpc

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def test_an_answer_that_cannot_be_written_is_an_internal_error_that_names_the_call() -> None:
    async def unwritable(call: Call, emit: Emit) -> Outcome:
        return Complete({"content": object()})

    async def settled() -> None:
        return

    client, ours = pair()
    door = LineDoor(ours, Listener(unwritable, Catalog(), ABOUT, settled), Principal("ann"), rpc.Limits())
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    client.start(heard.put_nowait, lambda reason: None)
    client.send(rpc.write_request(1, "tools/call", {"name": "echo", "_meta": ENVELOPE}))
    answer = json.loads(await asyncio.wait_for(heard.get(), BOUND_S))
    assert (answer["id"], answer["error"]["code"]) == (1, -32603)
    assert "in the gateway's log (call " in answer["error"]["message"]
    await door.aclose()
    await client.aclose()
