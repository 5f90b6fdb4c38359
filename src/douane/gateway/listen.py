"""Subscriptions of all clients of an endpoint, joined: what many want to hear of is asked for once, at its upstream.

The end of the chain that subscribing passes. An upstream names what changed by its own URI, and may name what lies below
what was asked for; a client is told the URI that it subscribed to itself: that it may see, and of the rest nobody asked.
What is not shown any more is not told of.
"""

import asyncio
from collections.abc import Callable, Mapping

from ..flow.chain import Emit, Handler
from ..protocol.call import JSON, Call
from ..protocol.outcome import Complete, Outcome
from ..registry.catalog import Lists
from ..sdk.subscriptions import above

__all__ = ["Listening", "Place"]

_NOTHING: JSON = {}
_PAUSE_S = 0.1
"""A resource that changes all the time is told of ten times a second; some servers tell of each line of a log."""

Place = tuple[str, str]
"""An upstream, and a URI as it names it."""


class Listening:
    """A `Handler` for `resources/subscribe` and `subscriptions/listen`."""

    def __init__(self, lists: Lists, upstreams: Mapping[str, Handler], released: Callable[[Place], None]) -> None:
        """`upstreams`: what subscribes at each. `released` is told of what nobody here wants to hear of any more."""
        self._lists, self._upstreams, self._released = lists, upstreams, released
        self.tell: Callable[[str], None] = _to_nobody
        """Tells all who subscribed to a URI as it is shown here."""
        self._places: dict[str, Place] = {}
        """Where each URI is that somebody here is subscribed to."""
        self._shown: dict[Place, set[str]] = {}
        self._resting: dict[str, bool] = {}
        """What was told of just now, and whether it has changed again since."""
        self._timers: set[asyncio.TimerHandle] = set()

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        if call.upstream is None:
            # Lists are the gateway's own: whoever may call may hear of them.
            return Complete(_NOTHING)
        uri, place = call.target or "", (call.upstream, call.name or "")
        if self._places.get(uri) != place:
            self.release(uri)
        self._places[uri] = place
        self._shown.setdefault(place, set()).add(uri)
        try:
            return await self._upstreams[call.upstream](call, emit)
        finally:
            if not self.wants(place):
                # It was let go of before the upstream had taken it.
                self._released(place)

    def wants(self, place: Place) -> bool:
        return place in self._shown

    def release(self, uri: str) -> None:
        """Nobody here is subscribed to `uri` any more."""
        place = self._places.pop(uri, None)
        if place is None:
            return
        self._shown[place].discard(uri)
        if not self._shown[place]:
            del self._shown[place]
            self._released(place)

    def updated(self, upstream: str, own: str) -> None:
        """An upstream tells of a change."""
        for name in above(own):
            for uri in tuple(self._shown.get((upstream, name), ())):
                self._changed(uri, upstream)

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _changed(self, uri: str, upstream: str) -> None:
        if uri in self._resting:
            self._resting[uri] = True
            return
        reader = self._lists.reader_of(uri)
        if reader is None or reader.upstream != upstream:
            return
        self._resting[uri] = False
        timer = asyncio.get_running_loop().call_later(_PAUSE_S, lambda: self._rested(uri, upstream, timer))
        self._timers.add(timer)
        self.tell(uri)

    def _rested(self, uri: str, upstream: str, timer: asyncio.TimerHandle) -> None:
        self._timers.discard(timer)
        if self._resting.pop(uri):
            self._changed(uri, upstream)


def _to_nobody(uri: str) -> None:
    return
