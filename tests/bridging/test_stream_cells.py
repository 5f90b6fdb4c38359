"""What happens to a call while it runs, in all four cells: cancelled, or on a stream that is lost."""

from gateway_clients import MODERN, Headers, head, text_of, wire
from raw_http import Said, events

from .scripted import CALL, Cell, answer, four, held, step


@four(tools__call=held)
async def test_a_call_is_cancelled_by_each_side_in_its_own_way(cell: Cell) -> None:
    async with wire(cell.running) as line:
        heard = await cell.begin(line)
        if not cell.newest:
            note = await cell.client.note("notifications/cancelled", {"requestId": CALL})
            assert note.status == 202
            await cell.is_cancelled(heard)
    # In the newest era the closed connection says it.
    await cell.is_cancelled(heard)


@four(tools__call=held)
async def test_a_stream_that_is_lost_in_mid_call_is_taken_up_again_or_was_the_call(cell: Cell) -> None:
    async with wire(cell.running) as line:
        heard = await cell.begin(line)
        step(heard, 1)
        assert (await line.status())[0] == 200
        stream = events(line)
        seen = [await anext(stream)]
        while seen[-1].message is None:
            seen.append(await anext(stream))
    assert progress(seen) == [1]
    after = {"accept": "text/event-stream", "last-event-id": seen[-1].id or "1"}
    if cell.newest:
        assert {said.id for said in seen} == {""}
        assert await refused(cell, after) == 405
        await cell.is_cancelled(heard)
        return
    step(heard, 2)
    async with wire(cell.running) as line:
        await line.send("GET", cell.client.headers() | after)
        assert (await line.status())[0] == 200
        stream = events(line)
        seen = [await anext(stream)]
        step(heard, 3)
        heard.say(b"data: " + answer(heard).replace(b"\n", b"\ndata: ") + b"\n\n")
        heard.end()
        seen += [said async for said in stream]
    assert progress(seen[:-1]) == [2, 3]
    last = seen[-1].message
    assert last is not None
    assert (last["id"], text_of(last)) == (CALL, "done")
    assert cell.upstream.methods().count("tools/call") == 1


async def refused(cell: Cell, after: Headers) -> int:
    """How GET is answered in the newest era."""
    async with wire(cell.running) as line:
        await line.send("GET", head(cell.running.token) | {"mcp-protocol-version": MODERN} | after)
        return (await line.answer()).status


def progress(seen: list[Said]) -> list[float]:
    return [said.message["params"]["progress"] for said in seen if said.message is not None]


@four(tools__call=held)
async def test_an_event_of_several_lines_is_told_on_one(cell: Cell) -> None:
    """T20: what a server wrote on several lines, clients that read one line at a time understand."""
    async with wire(cell.running) as line:
        heard = await cell.begin(line)
        step(heard, 1)
        heard.say(b"data: " + answer(heard).replace(b"\n", b"\ndata: ") + b"\n\n")
        heard.end()
        _, headers = await line.status()
        body = b"".join([chunk async for chunk in line.chunks(headers)])
    told = [event for event in body.split(b"\n\n") if b"data: {" in event]
    assert len(told) == 2
    assert all(event.count(b"data:") == 1 for event in told)
