"""Who is told of which resource, at one endpoint, by whatever door they came and in whatever era they speak.

To subscribe is a call: it passes what every call passes, and who is refused hears nothing. Then it leaves the chain, and
what is told costs a look into a table. An update is told to whom subscribed to that URI, or to one above it.
Spec: specification/2026-07-28/basic/patterns/subscriptions.mdx; schema.ts (an update may name a sub-resource).
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from threading import get_ident

import msgspec
from msgspec.structs import replace

from ..flow.chain import Emit, Handler, Trail
from ..protocol.call import JSON, Call, Event, Principal
from ..protocol.outcome import Complete, Failed, Outcome, Refused
from ..wire.codes import INVALID_PARAMS, INVALID_REQUEST, UPSTREAM_UNAVAILABLE

__all__ = ["SUBSCRIBING", "Bounds", "Ear", "Owner", "Subscriptions", "above", "owner_of"]

SUBSCRIBING = frozenset({"resources/subscribe", "resources/unsubscribe"})

_LEVEL = re.compile("[/?#]")
_MAX_LEVELS = 100
_AT_ONCE = 64
"""Subscriptions that are decided anew: each is a leaf in the log of a gateway, and these are written together."""

Owner = tuple[str, str]
"""Whose share something takes: a person's, whatever clients they use."""


def owner_of(principal: Principal) -> Owner:
    return principal.tenant, principal.subject


class Bounds(msgspec.Struct, frozen=True):
    max_uris: int = 1_000
    """Of one session or stream."""
    max_uris_per_principal: int = 10_000
    max_uris_in_all: int = 100_000
    max_streams_per_principal: int = 100
    """Of `subscriptions/listen`: a person has a few clients, and each has a few windows."""
    max_streams: int = 5_000
    """Over HTTP each holds a connection."""


_BOUNDS = Bounds()


class Ear:
    """One that is told: a session of the handshake era, or a stream of the newer one."""

    __slots__ = ("following", "is_open", "missed", "owner", "tell", "tell_task", "uris")

    def __init__(
        self, owner: Owner, tell: Callable[[str], None], tell_task: Callable[[JSON], None] | None = None
    ) -> None:
        """`tell_task`: of a session that is told unasked of the tasks it has begun."""
        self.owner, self.tell, self.tell_task = owner, tell, tell_task
        self.following: set[asyncio.Task[None]] | None = None
        """What tells it of them."""
        self.uris: dict[str, Call | None] = {}
        """What it subscribed to, and the call by which that was granted: until then it hears nothing of it."""
        self.missed: frozenset[str] = frozenset()
        """What changed between that a subscription was asked for and that it was granted."""
        self.is_open = True


def _unheard(uri: str) -> None:
    return


class Subscriptions:
    """`released` is told of a URI that nobody is subscribed to any more."""

    def __init__(self, handler: Handler, layer: str, bounds: Bounds = _BOUNDS) -> None:
        """`handler` serves `resources/subscribe`, `layer` says whose bounds these are."""
        self._handler, self._layer, self._bounds = handler, layer, bounds
        self.released: Callable[[str], None] = _unheard
        self._ears: dict[str, dict[Ear, None]] = {}
        self._held: Counter[Owner] = Counter()
        self._streams: dict[Ear, tuple[Call, Callable[[], None]]] = {}
        """Of the newer era: the call that opened each, and how it is ended."""
        self._streaming: Counter[Owner] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @property
    def uris(self) -> int:
        """How many subscriptions there are."""
        return self._held.total()

    @property
    def in_use(self) -> bool:
        return bool(self._ears or self._streams)

    async def subscribe(self, call: Call, ear: Ear) -> Outcome:
        """Put `call` to the handler; when that completes, `ear` is told of updates of its target."""
        uri = call.target or ""
        full = None if uri in ear.uris else self._full(ear)
        if full is not None:
            return Refused(INVALID_REQUEST, full)
        # First: whoever lets go of the same resource meanwhile must not be the last.
        self._add(uri, ear)
        granted = False
        try:
            outcome = await self.ask(call)
            granted = isinstance(outcome, Complete)
        finally:
            if not granted or not ear.is_open:
                self._remove(uri, ear)
        if granted and uri in ear.uris:
            ear.uris[uri] = call
            if uri in ear.missed:
                ear.missed -= {uri}
                ear.tell(uri)
        return outcome

    async def ask(self, call: Call) -> Outcome:
        """The call through all that calls pass, with nobody listening to its events."""
        try:
            return await self._handler(call, Emit(_ignore, Trail(call)))
        finally:
            # Whoever wanted it may have let go while it was asked for.
            if call.target is not None and call.target not in self._ears:
                self.released(call.target)

    def unsubscribe(self, uri: str, ear: Ear) -> None:
        """Nothing is asked for that: who listens may always stop."""
        self._remove(uri, ear)

    def forget(self, ear: Ear) -> None:
        """Who was told has gone."""
        ear.is_open = False
        for following in ear.following or ():
            following.cancel()
        for uri in tuple(ear.uris):
            self._remove(uri, ear)

    # --- streams of the newer era ---

    @property
    def streams(self) -> int:
        return len(self._streams)

    def enter(self, ear: Ear, call: Call, end: Callable[[], None], uris: int) -> Refused | None:
        """Count a stream that wants to hear of so many URIs, unless there are too many. `end` ends it gracefully."""
        bounds = self._bounds
        if uris > bounds.max_uris:
            return Refused(INVALID_PARAMS, f"{self._layer}: a stream has no more than {bounds.max_uris} subscriptions")
        if self._streaming[ear.owner] >= bounds.max_streams_per_principal:
            reason = f"{self._layer}: you listen on {bounds.max_streams_per_principal} streams; end one"
            return Refused(INVALID_REQUEST, reason)
        if len(self._streams) >= bounds.max_streams:
            reason = f"{self._layer}: {bounds.max_streams} streams of all clients are open; try again later"
            return Refused(INVALID_REQUEST, reason)
        self._streams[ear] = (call, end)
        self._streaming[ear.owner] += 1
        return None

    def leave(self, ear: Ear) -> None:
        """A stream has ended."""
        self.forget(ear)
        del self._streams[ear]
        self._streaming[ear.owner] -= 1
        if not self._streaming[ear.owner]:
            del self._streaming[ear.owner]

    async def readmit(self, new_id: Callable[[], str]) -> None:
        """Ask for everything anew, since what was granted may not be any more.

        A stream that is not granted all it was is ended: its client learns what is left by listening again.
        """
        held: list[tuple[Call, Callable[[], None]]] = list(self._streams.values())
        for uri, ears in self._ears.items():
            held += [(call, partial(self._withdraw, uri, ear)) for ear in ears if (call := ear.uris[uri]) is not None]
        for first in range(0, len(held), _AT_ONCE):
            some = held[first : first + _AT_ONCE]
            outcomes = await asyncio.gather(*(self.ask(replace(call, id=new_id())) for call, _ in some))
            for (_, withdraw), outcome in zip(some, outcomes, strict=True):
                # That an upstream is not there now says nothing of who may hear of it.
                is_away = isinstance(outcome, Failed) and outcome.code == UPSTREAM_UNAVAILABLE
                if not isinstance(outcome, Complete) and not is_away:
                    withdraw()

    def _withdraw(self, uri: str, ear: Ear) -> None:
        self._remove(uri, ear)
        if ear in self._streams:
            self._streams[ear][1]()

    # --- updates ---

    def updated(self, uri: str) -> None:
        """Tell all who subscribed to `uri`, or to what is above it. From any thread."""
        loop = self._loop
        if loop is None:
            return
        if get_ident() == self._thread:
            self._tell(uri)
            return
        try:
            loop.call_soon_threadsafe(self._tell, uri)
        except RuntimeError:
            # The loop is closed: nobody is there to be told.
            return

    def tell_exactly(self, uri: str) -> None:
        """Tell those who subscribed to this very URI. On the event loop."""
        for ear in tuple(self._ears.get(uri, ())):
            if ear.uris.get(uri):
                ear.tell(uri)
            else:
                ear.missed |= {uri}

    def _tell(self, uri: str) -> None:
        told: set[Ear] = set()
        for subscribed in above(uri):
            for ear in tuple(self._ears.get(subscribed, ())):
                if not ear.uris.get(subscribed):
                    ear.missed |= {subscribed}
                elif ear not in told:
                    told.add(ear)
                    ear.tell(uri)

    def _full(self, ear: Ear) -> str | None:
        bounds = self._bounds
        if len(ear.uris) >= bounds.max_uris:
            return f"{self._layer}: more than {bounds.max_uris} subscriptions of one session or stream"
        if self._held[ear.owner] >= bounds.max_uris_per_principal:
            return f"{self._layer}: you have {bounds.max_uris_per_principal} subscriptions; end one"
        if self._held.total() >= bounds.max_uris_in_all:
            return f"{self._layer}: there are {bounds.max_uris_in_all} subscriptions of all clients; try again later"
        return None

    def _add(self, uri: str, ear: Ear) -> None:
        if uri not in ear.uris:
            self._loop, self._thread = asyncio.get_running_loop(), get_ident()
            ear.uris[uri] = None
            self._ears.setdefault(uri, {})[ear] = None
            self._held[ear.owner] += 1

    def _remove(self, uri: str, ear: Ear) -> None:
        if uri not in ear.uris:
            return
        del ear.uris[uri]
        ear.missed -= {uri}
        self._held[ear.owner] -= 1
        if not self._held[ear.owner]:
            del self._held[ear.owner]
        ears = self._ears[uri]
        del ears[ear]
        if not ears:
            del self._ears[uri]
            self.released(uri)


def above(uri: str) -> Iterator[str]:
    """`uri`, and every URI that it is a sub-resource of: it goes on there with a path, a query or a fragment.

    The first hundred levels: a hostile URI could have more than there is time for.
    """
    yield uri
    for found in islice(_LEVEL.finditer(uri, 1), _MAX_LEVELS):
        at = found.start()
        yield uri[:at]
        if uri[at] == "/" and at + 1 < len(uri):
            yield uri[: at + 1]


def _ignore(event: Event) -> None:
    return
