"""Opening a session: which era a server speaks is settled by what it says, and only by that."""

import asyncio
from typing import Any

import pytest
from peers import MODERN, OLDER, Asked, Server, answers, die, errors, garbage, silence

from douane.protocol.versions import Era
from douane.sdk.connect import CannotConnect, open_line
from douane.sdk.session import LineSession, Welcome
from douane.transports.link import Link, LinkClosed, OnClose, OnFrame

CLIENT = {"name": "test"}
PROBE, HELLO, READY = "server/discover", "initialize", "notifications/initialized"


async def connect(server: Server, **options: Any) -> LineSession:
    options = {"patience_s": 0.02, "start_timeout_s": 5.0} | options
    return await open_line(server.open, client=CLIENT, noted=lambda *_: None, **options)


async def settled(server: Server, **options: Any) -> Welcome:
    opened = await connect(server, **options)
    try:
        # Answered after everything that was sent before it has arrived.
        await opened.ask("ping", {}, asyncio.get_running_loop().time() + 5.0)
        return opened.welcome
    finally:
        await opened.aclose()


def era_and_talk(welcome: Welcome, server: Server) -> tuple[Era, list[str]]:
    return welcome.era, [m for m in server.methods() if m != "ping"]


async def test_a_discovery_settles_the_newest_era_and_what_the_server_said_of_itself() -> None:
    async with Server("stateless") as server:
        discovery = server.discovery() | {"instructions": "be kind"}
        server.on[PROBE] = answers(discovery)
        welcome = await settled(server)
        assert welcome == Welcome(
            Era.STATELESS, MODERN, server.capabilities, {"name": "scripted"}, instructions="be kind"
        )
        assert era_and_talk(welcome, server) == (Era.STATELESS, [PROBE])


async def test_an_older_server_is_greeted_in_the_old_way_on_the_same_line() -> None:
    async with Server("handshake") as server:
        welcome = await settled(server)
        assert welcome == Welcome(Era.HANDSHAKE, OLDER, server.capabilities, {"name": "scripted"})
        assert era_and_talk(welcome, server) == (Era.HANDSHAKE, [PROBE, HELLO, READY])
        assert server.lines == 1
        assert (await server.until(HELLO)).params == {
            "protocolVersion": OLDER,
            "capabilities": {},
            "clientInfo": CLIENT,
        }


@pytest.mark.parametrize(
    "hook",
    [
        errors(-32601),
        errors(-32602),
        errors(-32600),
        errors(-32000, "Server not initialized"),
        errors(-32022, "unsupported", {"supported": [OLDER], "requested": MODERN}),
        answers({}),
        answers({"supportedVersions": [OLDER]}),
        lambda asked: asked.say({"id": asked.id, "result": []}),
    ],
)
async def test_any_other_answer_to_the_probe_is_an_older_server(hook: Any) -> None:
    async with Server("handshake") as server:
        server.on[PROBE] = hook
        assert era_and_talk(await settled(server), server) == (Era.HANDSHAKE, [PROBE, HELLO, READY])


@pytest.mark.parametrize(
    "hook",
    [answers({"supportedVersions": ["2031-01-01"]}), errors(-32022, "unsupported", {"supported": ["2031-01-01"]})],
)
async def test_a_server_of_other_revisions_only_is_no_server_of_ours(hook: Any) -> None:
    async with Server() as server:
        server.on[PROBE] = hook
        with pytest.raises(CannotConnect, match="speaks no revision"):
            await connect(server)
        await server.when(lambda: server.open_lines == 0)
        assert server.methods() == [PROBE]


async def test_a_server_that_refuses_the_revision_it_names_is_asked_once_more() -> None:
    def first(asked: Asked) -> None:
        asked.server.on.clear()
        asked.error(-32022, "unsupported", {"supported": [MODERN], "requested": MODERN})

    async with Server("stateless", server__discover=first) as server:
        assert era_and_talk(await settled(server), server) == (Era.STATELESS, [PROBE, PROBE])


async def test_a_server_that_ignores_the_probe_is_greeted_when_patience_ends() -> None:
    async with Server("handshake") as server:
        server.on[PROBE] = silence
        assert era_and_talk(await settled(server), server) == (Era.HANDSHAKE, [PROBE, HELLO, READY])


async def test_a_new_server_that_is_slow_to_start_is_still_taken_for_what_it_is() -> None:
    async with Server("stateless") as server:
        waiting: list[Asked] = []
        server.on[PROBE] = waiting.append

        def late(asked: Asked) -> None:
            waiting[0].answer(server.discovery())
            asked.error(-32022, "unsupported", {"supported": [MODERN], "requested": OLDER})

        server.on[HELLO] = late
        assert era_and_talk(await settled(server), server) == (Era.STATELESS, [PROBE, HELLO])


async def test_a_server_that_dies_on_the_probe_is_started_again_and_greeted_in_the_old_way() -> None:
    async with Server("handshake") as server:
        server.on[PROBE] = die
        assert era_and_talk(await settled(server), server) == (Era.HANDSHAKE, [PROBE, HELLO, READY])
        assert server.lines == 2


async def test_a_server_that_dies_whatever_one_says_is_given_up_after_two_starts() -> None:
    async with Server() as server:
        server.on = {PROBE: die, HELLO: die}
        with pytest.raises(CannotConnect, match="ended before it was ready"):
            await connect(server)
        assert (server.lines, server.methods()) == (2, [PROBE, HELLO])
        await server.when(lambda: server.open_lines == 0)


@pytest.mark.parametrize("probe", [silence, errors(-32601)])
async def test_a_server_that_never_answers_is_given_up_in_time_and_initialize_is_not_cancelled(probe: Any) -> None:
    async with Server() as server:
        server.on = {PROBE: probe, HELLO: silence}
        with pytest.raises(CannotConnect, match=r"did not answer initialize within 0\.1 s"):
            await connect(server, start_timeout_s=0.1)
        await server.when(lambda: server.open_lines == 0)
        cancelled = [a.params["requestId"] for a in server.heard if a.method == "notifications/cancelled"]
        assert (await server.until(HELLO)).id not in cancelled


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        (errors(-32603, "no licence"), r"refused initialize: no licence \(-32603\)"),
        (answers({"protocolVersion": "2024-10-07"}), "speaks revision 2024-10-07, which is not spoken here"),
        (answers({}), "speaks revision None"),
    ],
)
async def test_a_handshake_that_fails_says_why(hook: Any, reason: str) -> None:
    async with Server() as server:
        server.on[HELLO] = hook
        with pytest.raises(CannotConnect, match=reason):
            await connect(server)
        await server.when(lambda: server.open_lines == 0)


async def test_noise_before_the_first_answer_is_no_answer() -> None:
    def noisy(asked: Asked) -> None:
        garbage(b"Welcome to server 1.0")(asked)
        asked.error(-32601, "no")

    async with Server() as server:
        server.on[PROBE] = noisy
        assert (await settled(server)).era is Era.HANDSHAKE


async def test_odd_words_about_itself_are_left_out() -> None:
    async with Server("stateless") as server:
        odd = {"supportedVersions": [MODERN], "capabilities": [], "_meta": 1, "instructions": {}}
        server.on[PROBE] = answers(odd)
        assert await settled(server) == Welcome(Era.STATELESS, MODERN, {}, {})


async def test_giving_up_while_it_starts_leaves_no_line() -> None:
    async with Server() as server:
        server.on = {PROBE: silence, HELLO: silence}
        task = asyncio.create_task(connect(server))
        await server.until(PROBE)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await server.when(lambda: server.open_lines == 0)


async def test_a_line_that_cannot_be_opened_is_the_callers_to_explain() -> None:
    async def open_link() -> Link:
        raise LinkClosed("no such socket")

    with pytest.raises(LinkClosed, match="no such socket"):
        await open_line(open_link, client=CLIENT, noted=lambda *_: None)


class Dying:
    """A line to a process that is gone, which is noticed when something is sent; how it ended is known a moment later."""

    def start(self, on_frame: OnFrame, on_close: OnClose) -> None:
        self._on_close = on_close

    def send(self, frame: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._on_close, "the child exited with status 4")
        raise LinkClosed("the child has closed its standard input")

    async def aclose(self) -> None:
        return


async def test_why_a_server_has_ended_is_told_when_that_is_known_later_than_that_it_has() -> None:
    async def line() -> Link:
        return Dying()

    with pytest.raises(CannotConnect, match="exited with status 4"):
        await open_line(line, client=CLIENT, noted=lambda method, params: None)
