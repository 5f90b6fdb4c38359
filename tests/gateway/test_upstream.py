"""One upstream and its life: started once when wanted, listed, restarted with growing pauses, stopped when idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace
from peers import BOUND_S, Asked, Ears, Server, answers, call, die, errors, silence, tool

from douane.gateway.upstream import Times, Upstream
from douane.protocol.call import Call
from douane.protocol.outcome import Complete, Failed, Outcome, Refused
from douane.registry.catalog import Catalog
from douane.registry.naming import Naming
from douane.sdk.connect import open_line
from douane.sdk.respondent import Respondent
from douane.sdk.session import Noted, Session

DOWN = "down: it cannot be started; the gateway's log says why"
"""What callers see: why exactly may quote commands and stderr, and is for the operator."""

TIMES = Times(
    start_timeout_s=0.3, first_pause_s=0.02, longest_pause_s=0.1, refresh_s=60.0, idle_stop_s=60.0, refresh_pause_s=0.0
)


class House:
    """A catalog and one upstream, `files`, over a scripted server."""

    def __init__(self, server: Server, times: Times, stops_when_idle: bool) -> None:
        self.server, self.catalog = server, Catalog()
        self.lists: list[list[str]] = []
        self._news = asyncio.Event()
        self.catalog.on_change.append(self._on_change)
        self.starts = 0
        self.faults: list[Exception] = []
        """What opening raises, one after the other."""
        self.upstream = Upstream(
            "files",
            self.open_session,
            catalog=self.catalog,
            naming=Naming("files", "files_"),
            starts=asyncio.Semaphore(4),
            times=times,
            stops_when_idle=stops_when_idle,
        )

    async def open_session(self, noted: Noted, respondent: Respondent) -> Session:
        self.starts += 1
        if self.faults:
            raise self.faults.pop(0)
        return await open_line(
            self.server.open,
            client={"name": "t"},
            noted=noted,
            start_timeout_s=0.3,
            patience_s=0.02,
            respondent=respondent,
        )

    def call(self, name: str = "echo", **members: Any) -> Call:
        item = self.catalog.find("tools", f"files_{name}")
        digest = item.digest if item is not None else ""
        return call(params={"name": name, "arguments": {"a": 1}}, digest=digest, upstream="files", **members)

    async def run(self, asked: Call | None = None) -> Outcome:
        asked = asked or self.call()
        return await asyncio.wait_for(self.upstream(asked, Ears(asked).emit), BOUND_S)

    def _on_change(self, _: object) -> None:
        self.lists.append([item.exposed for item in self.catalog.items("tools")])
        self._news.set()

    async def shown(self, name: str) -> None:
        """Until the catalog shows a tool of that name."""
        async with asyncio.timeout(BOUND_S):
            while not (self.lists and name in self.lists[-1]):
                self._news.clear()
                await self._news.wait()

    async def listed(self, *lists: list[str]) -> None:
        """Until the catalog has shown exactly these lists, one after the other."""
        async with asyncio.timeout(BOUND_S):
            while len(self.lists) < len(lists):
                self._news.clear()
                await self._news.wait()
        assert self.lists == list(lists)


@asynccontextmanager
async def house(
    server: Server, times: Times = TIMES, *, stops_when_idle: bool = False, started: bool = True
) -> AsyncIterator[House]:
    async with server:
        made = House(server, times, stops_when_idle)
        try:
            if started:
                await asyncio.wait_for(made.upstream.start(), BOUND_S)
            yield made
        finally:
            await made.upstream.aclose()
            await server.when(lambda: server.open_lines == 0)


async def test_it_is_up_when_it_was_listed_and_serves_calls() -> None:
    async with house(Server(tools=[tool("echo"), tool("other")])) as at:
        assert (at.upstream.state, at.upstream.starts) == ("up", 1)
        assert [item.exposed for item in at.catalog.items("tools")] == ["files_echo", "files_other"]
        outcome = await at.run()
        assert isinstance(outcome, Complete)
        assert outcome.result == {"content": [{"type": "text", "text": '{"a": 1}'}]}


async def test_fifty_first_calls_start_it_once() -> None:
    def slowly(asked: Asked) -> None:
        asyncio.get_running_loop().call_later(0.05, asked.error, -32601, "no")

    async with house(Server(server__discover=slowly), started=False) as at:
        at.upstream.start()
        digest = "not listed yet"
        outcomes = await asyncio.gather(*(at.run(replace(at.call(), digest=digest)) for _ in range(50)))
        assert {type(outcome) for outcome in outcomes} == {Refused}
        assert (at.starts, at.server.lines) == (1, 1)
        outcomes = await asyncio.gather(*(at.run() for _ in range(50)))
        assert {type(outcome) for outcome in outcomes} == {Complete}


async def test_one_that_cannot_start_is_down_and_says_until_when() -> None:
    times = replace(TIMES, first_pause_s=30.0, longest_pause_s=30.0)
    async with house(Server(initialize=errors(-32603, "no licence")), times) as at:
        assert at.upstream.state == "down"
        outcome = await at.run()
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.sent) == (1502, "no")
        assert outcome.message.startswith(f"upstream files: {DOWN}; tried again in ")
        assert at.catalog.missing == {"files": DOWN}
        assert at.starts == 1


async def test_it_is_tried_again_with_growing_pauses_and_comes_back_by_itself() -> None:
    loop = asyncio.get_running_loop()
    attempts: list[float] = []

    def failing(asked: Asked) -> None:
        attempts.append(loop.time())
        if len(attempts) == 5:
            del asked.server.on["initialize"]
        asked.error(-32603, "not yet")

    async with house(Server(initialize=failing)) as at:
        await at.listed(["files_echo"])
        assert at.upstream.state == "up"
        pauses = [after - before for before, after in pairwise(attempts)]
        assert all(got >= least for got, least in zip(pauses, (0.016, 0.032, 0.064, 0.08), strict=True))
        assert at.catalog.missing == {}


async def test_a_fault_nobody_expected_is_a_start_that_failed() -> None:
    async with house(Server(), started=False) as at:
        at.faults = [OSError("too many open files"), KeyError("surprise")]
        await asyncio.wait_for(at.upstream.start(), BOUND_S)
        assert at.upstream.state == "down"
        assert "too many open files" not in repr(await at.run())
        await at.listed(["files_echo"])


async def test_when_it_dies_open_calls_fail_at_once_and_it_is_started_again() -> None:
    async with house(Server(tools__call=die)) as at:
        outcome = await at.run()
        assert outcome == Failed(1502, "upstream: ended before it answered; it may have run", "unknown")
        at.server.on = {}
        await at.listed(["files_echo"], [], ["files_echo"])
        assert isinstance(await at.run(), Complete)
        assert (at.upstream.starts, at.server.methods().count("tools/call")) == (2, 2)


async def test_a_call_is_never_sent_twice() -> None:
    async with house(Server(tools__call=die)) as at:
        await asyncio.gather(*(at.run() for _ in range(10)))
        assert at.server.methods().count("tools/call") <= 10


async def test_what_was_surely_not_sent_is_sent_once_more_to_the_server_that_was_started_again() -> None:
    async with house(Server(), replace(TIMES, steady_s=0.0)) as at:
        asked = at.call()
        ears = Ears(asked)
        await at.server.lose_lines()
        outcome = await asyncio.wait_for(at.upstream(asked, ears.emit), BOUND_S)
        assert isinstance(outcome, Complete)
        assert ears.trail.attempts == 2
        assert (at.server.lines, at.server.methods().count("tools/call")) == (2, 1)


async def test_what_is_asked_by_a_call_that_was_sent_once_more_is_judged_as_ever() -> None:
    form = {"type": "object", "properties": {"password": {"type": "string"}}}
    question = {"method": "elicitation/create", "params": {"mode": "form", "message": "?", "requestedSchema": form}}
    asks = answers({"resultType": "input_required", "inputRequests": {"secret": question}})
    async with house(Server("stateless", tools__call=asks), replace(TIMES, steady_s=0.0)) as at:
        asked = at.call(capabilities={"elicitation": {"form": {}}})
        ears = Ears(asked)
        await at.server.lose_lines()
        outcome = await asyncio.wait_for(at.upstream(asked, ears.emit), BOUND_S)
        assert ears.trail.attempts == 2
        assert isinstance(outcome, Failed)
        assert outcome.code == 1403


async def test_one_that_nobody_uses_is_stopped_and_started_again_on_demand() -> None:
    times = replace(TIMES, idle_stop_s=0.05)
    async with house(Server(), times, stops_when_idle=True) as at:
        await at.server.when(lambda: at.server.open_lines == 0)
        assert at.upstream.state == "asleep"
        assert [item.exposed for item in at.catalog.items("tools")] == ["files_echo"]
        outcomes = await asyncio.gather(*(at.run() for _ in range(20)))
        assert {type(outcome) for outcome in outcomes} == {Complete}
        assert (at.upstream.starts, at.server.lines) == (2, 2)


async def test_one_with_a_call_open_is_not_idle() -> None:
    loop = asyncio.get_running_loop()

    def slow(asked: Asked) -> None:
        loop.call_later(0.2, asked.answer, {"content": []})

    async with house(Server(tools__call=slow), replace(TIMES, idle_stop_s=0.05), stops_when_idle=True) as at:
        assert isinstance(await at.run(), Complete)
        assert at.server.lines == 1


async def test_a_definition_that_changed_since_it_was_listed_is_not_called() -> None:
    async with house(Server(tools=[tool("echo", description="reads")])) as at:
        stale = at.call()
        at.server.tools = [tool("echo", description="deletes")]
        at.server.tell("notifications/tools/list_changed")
        await at.listed(["files_echo"], ["files_echo"])
        assert await at.run(stale) == Refused(-32602, "gateway: echo has changed since it was listed; list again")
        assert isinstance(await at.run(), Complete)
        assert at.server.methods().count("tools/call") == 1


async def test_a_definition_that_changed_across_a_restart_is_not_called_either() -> None:
    async with house(Server(), replace(TIMES, idle_stop_s=0.05), stops_when_idle=True) as at:
        shown = at.call()
        at.server.tools = [tool("echo", description="another")]
        await at.server.when(lambda: at.server.open_lines == 0)
        assert isinstance(await at.run(shown), Refused)


async def test_lists_are_read_again_after_a_while_for_servers_that_do_not_tell() -> None:
    async with house(Server(), replace(TIMES, refresh_s=0.03)) as at:
        at.server.tools = [tool("echo"), tool("new")]
        await at.listed(["files_echo"], ["files_echo", "files_new"])


async def test_a_server_whose_list_breaks_is_down() -> None:
    times = replace(TIMES, first_pause_s=30.0, longest_pause_s=30.0)
    async with house(Server(tools__list=answers({"tools": "none"})), times) as at:
        assert at.catalog.missing == {"files": DOWN}
        await at.server.when(lambda: at.server.open_lines == 0)


async def test_a_server_that_never_answers_its_list_is_given_up_in_time() -> None:
    async with house(Server(tools__list=silence), replace(TIMES, first_pause_s=30.0, longest_pause_s=30.0)) as at:
        assert at.upstream.state == "down"
        assert at.catalog.missing["files"] == DOWN


async def test_a_caller_waits_for_a_start_no_longer_than_its_own_deadline() -> None:
    hanging = Server(server__discover=silence, initialize=silence)
    async with house(hanging, replace(TIMES, start_timeout_s=5.0), started=False) as at:
        at.upstream.start()
        outcome = await at.run(at.call(within_s=0.02))
        assert outcome == Failed(1502, "upstream files: starting: starting", "no")


async def test_when_it_is_closed_whoever_waits_is_told_at_once() -> None:
    hanging = Server(server__discover=silence, initialize=silence)
    async with house(hanging, started=False) as at:
        at.upstream.start()
        waiting = asyncio.create_task(at.run())
        await at.server.until("server/discover")
        await at.upstream.aclose()
        closed = Failed(1502, "upstream files: closed: the gateway is stopping", "no")
        async with asyncio.timeout(1.0):
            assert await waiting == closed
            assert await at.run() == closed


async def test_a_storm_of_changes_is_listed_at_most_once_a_pause_and_the_last_change_is_seen() -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    pause_s, storm_s, per_s = 0.2, 1.0, 200
    async with house(Server(), replace(TIMES, refresh_pause_s=pause_s)) as at:
        began_s = loop.time()

        def blow(count: int) -> None:
            at.server.tools = [tool(f"new{count}")]
            at.server.tell("notifications/tools/list_changed")
            if count < per_s * storm_s:
                loop.call_at(began_s + count / per_s, blow, count + 1)
            else:
                over.set()

        blow(1)
        await asyncio.wait_for(over.wait(), BOUND_S)
        await at.shown(f"files_new{round(per_s * storm_s)}")
        took_s = loop.time() - began_s
        assert 2 <= at.server.methods().count("tools/list") <= took_s / pause_s + 2


async def test_one_that_ends_while_a_refresh_is_put_off_is_started_again_at_once() -> None:
    async with house(Server(), replace(TIMES, refresh_pause_s=30.0)) as at:
        at.server.tell("notifications/tools/list_changed")
        at.server.tools = [tool("new")]
        at.server.drop()
        await at.shown("files_new")
        assert at.server.lines == 2


async def test_an_extension_that_is_not_carried_is_not_dropped_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    server = Server("stateless")
    offered = ("io.modelcontextprotocol/tasks", "io.modelcontextprotocol/ui", "com.example/more")
    server.capabilities = {**server.capabilities, "extensions": {name: {} for name in offered}}
    async with house(server) as at:
        assert at.catalog.capabilities >= {"tasks", "ui"}
        assert "extensions" not in at.catalog.capabilities
    said = [record.getMessage() for record in caplog.records if "extension" in record.getMessage()]
    assert said == ["upstream files offers the extension com.example/more, which is not carried here"]


async def test_what_a_server_can_run_as_a_task_is_known_of_each_tool() -> None:
    tools = [
        tool("may", execution={"taskSupport": "optional"}),
        tool("must", execution={"taskSupport": "required"}),
        tool("not"),
    ]
    server = Server("handshake", tools)
    server.capabilities = {**server.capabilities, "tasks": {"requests": {"tools": {"call": {}}}}}
    async with house(server) as at:
        assert {name: at.catalog.task_level(f"files_{name}") for name in ("may", "must", "not", "none")} == {
            **{"may": "optional", "must": "optional"},
            **{"not": None, "none": None},
        }


async def test_a_server_that_speaks_another_era_since_it_was_updated_is_asked_anew_and_the_call_is_made_once() -> None:
    # T23
    def updated(asked: Asked) -> None:
        asked.server.speaks = "handshake"
        del asked.server.on["tools/call"]
        asked.error(-32022, "unsupported", {"supported": ["2025-11-25"], "requested": "2026-07-28"})

    async with house(Server("stateless", tools__call=updated), replace(TIMES, steady_s=0.0)) as at:
        assert isinstance(await at.run(), Complete)
        assert at.upstream.session is not None
        assert at.upstream.session.welcome.revision == "2025-11-25"
        assert (at.server.lines, at.server.methods().count("tools/call")) == (2, 2)
