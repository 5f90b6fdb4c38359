"""Threads for plain functions: all of them end with their server."""

import asyncio
import threading

from peers import BOUND_S

from douane.sdk.threads import Threads


async def test_a_thread_that_still_waits_for_a_person_ends_with_the_others() -> None:
    before = set(threading.enumerate())
    threads = Threads()
    waits, enough = threading.Event(), threading.Event()

    def function() -> None:
        with threads.waiting():
            waits.set()
            enough.wait(BOUND_S)

    done = threads.run(function)
    assert await asyncio.to_thread(waits.wait, BOUND_S)
    threads.close()
    enough.set()
    await done
    left = [one for one in set(threading.enumerate()) - before if one.name.startswith("douane-tool")]
    for one in left:
        await asyncio.to_thread(one.join, BOUND_S)
    assert not [one.name for one in left if one.is_alive()]
