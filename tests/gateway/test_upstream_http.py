"""One upstream over HTTP that forgets its sessions: what an old one still says touches no newer one."""

import asyncio

from http_upstream import Heard, http_upstream
from peers import BOUND_S, Ears, call

from douane.gateway.upstream import Times, Upstream
from douane.protocol.outcome import Complete, Outcome
from douane.registry.catalog import Catalog
from douane.registry.naming import Naming
from douane.sdk.http_session import open_http
from douane.sdk.respondent import Respondent
from douane.sdk.session import Noted, Session
from douane.transports.address import Reach
from douane.transports.http_client import HttpClient


async def test_a_late_word_that_an_old_session_is_forgotten_does_not_lose_the_session_after_it() -> None:
    held: list[Heard] = []
    http = HttpClient(reach=Reach.LOOPBACK)
    catalog = Catalog()

    async with http_upstream(tools__call=held.append) as server:

        async def open_session(noted: Noted, _: Respondent) -> Session:
            return await open_http(http, server.url, headers=(), client={"name": "t"}, noted=noted)

        upstream = Upstream(
            "far",
            open_session,
            catalog=catalog,
            naming=Naming("far", ""),
            starts=asyncio.Semaphore(1),
            times=Times(steady_s=0.0),
            stops_when_idle=False,
        )
        loop = asyncio.get_running_loop()

        def run() -> asyncio.Task[Outcome]:
            item = catalog.find("tools", "echo")
            assert item is not None
            params = {"name": "echo", "arguments": {}}
            asked = call(params=params, digest=item.digest, upstream="far", deadline_s=loop.time() + BOUND_S)
            return asyncio.ensure_future(upstream(asked, Ears(asked).emit))

        try:
            await asyncio.wait_for(upstream.start(), BOUND_S)
            early, late = run(), run()
            await server.until("tools/call", 2)
            del server.on["tools/call"]
            for heard in held:
                heard.reply.send(404, [])
                # The second is told when the next session is up.
                first = await asyncio.wait_for(early, BOUND_S)
                assert isinstance(first, Complete)
                assert server.sessions == 2
            second = await asyncio.wait_for(late, BOUND_S)
            assert isinstance(second, Complete), second
            assert isinstance(await asyncio.wait_for(run(), BOUND_S), Complete)
            assert server.sessions == 2
        finally:
            await upstream.aclose()
            await http.aclose()
