"""Sessions of handshake-era clients over HTTP: few, bound to who opened them, and gone when idle.

Ids are 256 random bits and are never authentication: every request proves its principal anew, and another
principal's session does not exist for it. Spec: specification/2025-11-25/basic/transports.mdx (session management).
"""

import asyncio
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable

from ..protocol.call import JSON, Principal
from ..protocol.methods import Kind
from ..transports.http_server import Reply
from ..wire import rpc
from .event_store import Bounds, EventStore, Shelf, Stream, Unresumable
from .greeted import Greeted
from .listener import Offer, list_names
from .subscriptions import Ear, Owner, owner_of

__all__ = ["ClientSession", "Sessions"]


class ClientSession:
    """One session: what the client said of itself, its open calls, and its event streams."""

    def __init__(self, principal: Principal, greeted: Greeted, now_s: float, shelf: Shelf) -> None:
        self.id = secrets.token_urlsafe(32)
        self.principal, self.greeted, self.last_used_s = principal, greeted, now_s
        self.open: dict[rpc.Id, asyncio.Task[None]] = {}
        self._shelf = shelf
        self._events: EventStore | None = None
        self._ear: Stream | None = None
        """The stream it listens on for what belongs to no call."""
        self.ear = Ear(owner_of(principal), self._updated, self._task_changed)

    @property
    def busy(self) -> bool:
        return bool(self.open) or self.listens

    @property
    def listens(self) -> bool:
        return self._ear is not None and self._ear.is_heard

    @property
    def events(self) -> EventStore:
        """Its event streams. Most sessions never have one."""
        if self._events is None:
            self._events = EventStore(self._shelf, self.greeted.revision)
        return self._events

    @property
    def owner(self) -> Owner:
        return self.ear.owner

    def listen(self, reply: Reply) -> Stream:
        """Notifications go to the newest connection; an older one ends."""
        if self._ear is None:
            self._ear = self.events.begin()
        self._ear.open(reply)
        return self._ear

    def resume(self, reply: Reply, event_id: str) -> tuple[Stream, bool]:
        """Go on with the stream that an event was on, after it. False: what belongs to no call was not all kept.

        Raises Unresumable; nothing is answered then.
        """
        stream, after = self.events.find(event_id)
        try:
            stream.resume(reply, after)
        except Unresumable:
            if stream is not self._ear:
                raise
            stream.open(reply)
            return stream, False
        return stream, True

    def hear(self, note: rpc.Notification) -> None:
        """What the client tells: that it gives up a call."""
        id_ = rpc.as_id(note.params.get("requestId"))
        if note.method == "notifications/cancelled" and id_ is not None and id_ in self.open:
            self.open[id_].cancel()

    def tell(self, frame: bytes) -> None:
        """Something that belongs to no call. Kept for a client that listens, has listened, or has said that it will."""
        if self._ear is None and self.ear.uris:
            self._ear = self.events.begin()
        if self._ear is not None:
            self._ear.say(frame)

    def hush(self) -> None:
        """End the connection it listens on."""
        if self._ear is not None:
            self._ear.leave()

    def close(self) -> None:
        for task in tuple(self.open.values()):
            task.cancel()
        if self._events is not None:
            self._events.close()

    def _updated(self, uri: str) -> None:
        self.tell(rpc.write_notification("notifications/resources/updated", {"uri": uri}))

    def _task_changed(self, task: JSON) -> None:
        self.tell(rpc.write_notification("notifications/tasks/status", task))


def _unheard(session: ClientSession) -> None:
    return


class Sessions:
    """The table of sessions, least recently used first."""

    def __init__(
        self,
        offer: Offer,
        clock: Callable[[], float],
        *,
        max_sessions: int = 10_000,
        max_per_principal: int = 1_000,
        idle_s: float = 1800.0,
        kept: Bounds | None = None,
    ) -> None:
        """`kept`: of what was said on event streams, for clients that lost one.

        Raises ValueError for an `idle_s` of nothing: what is in use would be unused as well.
        """
        if not idle_s > 0:
            raise ValueError(f"idle_s must be more than 0, not {idle_s}")
        self._offer, self._clock, self._idle_s = offer, clock, idle_s
        self.shelf = Shelf(clock, kept or Bounds())
        self.ended: Callable[[ClientSession], None] = _unheard
        """Told of each session that has ended."""
        self._max_sessions, self._max_per_principal = max_sessions, max_per_principal
        self._sessions: OrderedDict[str, ClientSession] = OrderedDict()
        self._held: Counter[tuple[str, str]] = Counter()
        """How many each owner has."""
        offer.on_change.append(self._on_change)

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def listening(self) -> int:
        """How many are on a stream of their own now."""
        return sum(session.listens for session in self._sessions.values())

    def open(self, principal: Principal, revision: str, capabilities: JSON) -> ClientSession | str:
        """A new session, or why there can be none. When there are too many, of this principal or of all, the longest unused one makes room.

        One that is in use never does.
        """
        self._drop_idle()
        session = ClientSession(principal, Greeted(revision, capabilities), self._clock(), self.shelf)
        owner = session.owner
        if self._held[owner] >= self._max_per_principal and not self._make_room(lambda other: other.owner == owner):
            return f"you have {self._held[owner]} sessions, and each is in use"
        if len(self._sessions) >= self._max_sessions and not self._make_room(lambda other: True):
            return f"there are {len(self._sessions)} sessions of all clients, and each is in use"
        self._sessions[session.id] = session
        self._held[owner] += 1
        return session

    def find(self, id_: str, principal: Principal) -> ClientSession | None:
        self._drop_idle()
        session = self._sessions.get(id_)
        if session is None or (session.principal is not principal and session.principal.identity != principal.identity):
            return None
        session.last_used_s = self._clock()
        self._sessions.move_to_end(id_)
        return session

    def sweep(self) -> None:
        """Drop who has left without a word, and what is over and too old to be asked for. For whoever has a timer: a
        request does no more than drop who has left."""
        self._drop_idle()
        self.shelf.expire()

    def end(self, session: ClientSession) -> None:
        if self._sessions.pop(session.id, None) is not None:
            self._held[session.owner] -= 1
            if not self._held[session.owner]:
                del self._held[session.owner]
        session.close()
        self.ended(session)

    def hush_all(self) -> None:
        for session in self._sessions.values():
            session.hush()

    def close_all(self) -> None:
        for session in tuple(self._sessions.values()):
            self.end(session)

    def refresh(self, session: ClientSession) -> None:
        """Tell it of everything that may have changed, since it cannot be told what has."""
        for name in ("tools", *(self._offer.capabilities & {"prompts", "resources"})):
            session.tell(rpc.write_notification(f"notifications/{name}/list_changed", {}))
        for uri in tuple(session.ear.uris):
            session.ear.tell(uri)

    def _make_room(self, may_go: Callable[[ClientSession], bool]) -> bool:
        unused = next((s for s in self._sessions.values() if not s.busy and may_go(s)), None)
        if unused is not None:
            self.end(unused)
        return unused is not None

    def _drop_idle(self) -> None:
        # The first is the longest unused. A busy one is used: it moves to the end, and the next is looked at.
        horizon_s = self._clock() - self._idle_s
        while self._sessions:
            session = next(iter(self._sessions.values()))
            if session.last_used_s > horizon_s:
                return
            if session.busy:
                session.last_used_s = self._clock()
                self._sessions.move_to_end(session.id)
            else:
                self.end(session)

    def _on_change(self, kinds: frozenset[Kind]) -> None:
        frames = [rpc.write_notification(f"notifications/{name}/list_changed", {}) for name in list_names(kinds)]
        for session in self._sessions.values():
            for frame in frames:
                session.tell(frame)
