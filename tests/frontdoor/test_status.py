"""`/statusz`: what the gateway holds is counted, for whoever runs it and for nobody else."""

from pathlib import Path

from gateway_clients import HttpClient, get, head, holding, http, session, wire
from gateway_world import gateway, witness
from several_callers import several

from frontdoor.test_questions import answered, asking, text


async def test_who_brings_no_token_or_another_is_not_told(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}) as running:
        for headers in ({}, head("dn_wrong")):
            answer = await get(running, "/statusz", headers)
            assert answer.status == 401
            assert b"sessions" not in answer.body


async def test_who_is_known_and_does_not_run_the_gateway_is_refused(tmp_path: Path) -> None:
    async with several(tmp_path, {"w": witness(tmp_path / "seen")}) as at:
        for caller, status in ((at.anna, 403), (at.owner, 200)):
            answer = await get(caller, "/statusz", head(caller.token))
            assert (answer.status, b"sessions" in answer.body) == (status, status == 200)


async def test_sessions_streams_and_calls_are_counted_while_they_are_there(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen")}) as running:
        async with (
            session(running) as client,
            wire(running) as ear,
            http(running) as listener,
            session(running) as caller,
        ):
            await ear.send("GET", client.headers() | {"accept": "text/event-stream"})
            assert (await ear.status())[0] == 200
            await listener.begin("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            await anext(listener.messages())
            await caller.begin("tools/call", {"name": "w_wait", "arguments": {}})
            held = await holding(running, lambda held: held["upstreams"]["w"]["calls"] == 1)
            # To listen is a call too.
            assert (held["sessions"], held["streams"], held["calls"]) == (2, 2, 2)
            await end(caller)
            await end(client)
        held = await holding(running, lambda held: held["calls"] == 0)
        assert (held["sessions"], held["streams"], held["calls"]) == (0, 0, 0)
        assert held["upstreams"]["w"] == {
            "calls": 0,
            "sessions_in_use": 0,
            "sessions_idle": 0,
            "waiting_for_answers": 0,
        }


async def test_a_question_is_counted_until_it_is_answered_and_its_session_is_kept(tmp_path: Path) -> None:
    async with asking(tmp_path) as at:
        asked = await at.asked("elicitation")
        held = (await holding(at.gateway))["upstreams"]["w"]
        assert (held["sessions_in_use"], held["waiting_for_answers"]) == (1, 1)
        done = await at.call("elicitation", state=asked["requestState"], answers=answered(asked))
        assert text(done)
        held = (await holding(at.gateway))["upstreams"]["w"]
        assert (held["sessions_in_use"], held["waiting_for_answers"], held["sessions_idle"] > 0) == (0, 0, True)


async def end(client: HttpClient) -> None:
    async with wire(client.gateway) as line:
        await line.send("DELETE", client.headers())
        assert (await line.answer()).status == 204
