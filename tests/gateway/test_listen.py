"""Subscriptions of many, joined: what nobody wants any more is given up, whenever it was let go of."""

import asyncio

from peers import BOUND_S, call

from douane.flow.chain import Emit
from douane.gateway.listen import Listening, Place
from douane.protocol.call import Call
from douane.protocol.outcome import Complete, Outcome
from douane.registry.catalog import Catalog
from douane.sdk.subscriptions import Ear, Subscriptions

URI = "x://a"


class Slow:
    """Holds each call until it is let through, and then what it was asked for until it is released."""

    def __init__(self) -> None:
        self.held: set[Place] = set()
        self.came, self.through = asyncio.Event(), asyncio.Event()

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        self.came.set()
        await asyncio.wait_for(self.through.wait(), BOUND_S)
        self.held.add((call.upstream or "", call.name or ""))
        return Complete({})


def subscribing() -> Call:
    return call("resources/subscribe", {"uri": URI, "name": URI}, upstream="files")


async def test_what_is_let_go_of_while_the_upstream_is_asked_is_given_up_when_it_has_taken_it() -> None:
    slow = Slow()
    listening = Listening(Catalog(), {"files": slow}, slow.held.discard)
    subscriptions = Subscriptions(listening, "gateway")
    subscriptions.released = listening.release
    ear = Ear(("anna", ""), lambda _: None)
    asking = asyncio.create_task(subscriptions.subscribe(subscribing(), ear))
    await slow.came.wait()
    subscriptions.unsubscribe(URI, ear)
    slow.through.set()
    await asking
    assert slow.held == set()
    assert not listening.wants(("files", URI))


async def test_what_is_let_go_of_before_the_upstream_is_asked_is_given_up_too() -> None:
    slow, judge = Slow(), Slow()
    listening = Listening(Catalog(), {"files": slow}, slow.held.discard)

    async def judged(call: Call, emit: Emit) -> Outcome:
        await judge(call, emit)
        return await listening(call, emit)

    subscriptions = Subscriptions(judged, "gateway")
    subscriptions.released = listening.release
    ear = Ear(("anna", ""), lambda _: None)
    slow.through.set()
    asking = asyncio.create_task(subscriptions.subscribe(subscribing(), ear))
    await judge.came.wait()
    subscriptions.unsubscribe(URI, ear)
    judge.through.set()
    await asking
    assert slow.held == set()
    assert not listening.wants(("files", URI))
