"""Sessions leased to one call each: who waits for one, and how long."""

import asyncio

import pytest
from peers import BOUND_S

from douane.gateway.leases import Bounds, Leases, NoneFree
from douane.protocol.call import Principal
from douane.sdk.respondent import Respondent
from douane.sdk.session import Session

ANNA = Principal("anna")


async def test_who_waits_is_woken_by_the_end_while_every_session_is_still_being_opened() -> None:
    opening = asyncio.Event()

    async def open_session(respondent: Respondent, principal: Principal | None) -> Session:
        opening.set()
        await asyncio.Event().wait()
        raise AssertionError

    leases = Leases(open_session, Bounds(1, 1, 1), idle_s=60.0)
    deadline_s = asyncio.get_running_loop().time() + 2 * BOUND_S
    first = asyncio.ensure_future(leases.take(ANNA, {}, deadline_s))
    async with asyncio.timeout(BOUND_S):
        await opening.wait()
        second = asyncio.ensure_future(leases.take(ANNA, {}, deadline_s))
        await asyncio.sleep(0)  # It waits now.
        await leases.aclose()
        with pytest.raises(NoneFree):
            await second
        first.cancel()
        await asyncio.wait([first])
