"""One upstream and its life: started when wanted, listed, restarted with growing pauses, stopped when idle.

One task owns the session from opening to closing, so nothing is closed twice or forgotten. Calls never start
anything themselves: they say that the upstream is wanted and wait, or are told at once that it is down and until when.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Literal, cast

import msgspec
from msgspec.structs import replace

from ..auth.credentials import LoginFailed
from ..flow.chain import Emit, Handler, Trail
from ..protocol.apps import APPS, page_of
from ..protocol.call import JSON, Call, Principal
from ..protocol.outcome import Complete, Failed, InputRequired, Outcome, Refused
from ..protocol.versions import Era
from ..registry.catalog import Catalog, Item, Kind
from ..registry.naming import Naming
from ..sdk.connect import CannotConnect
from ..sdk.respondent import Respondent
from ..sdk.session import Noted, Session, Welcome
from ..sdk.task_session import runs_as_task
from ..sdk.watch import has_member
from ..transports.link import LinkClosed
from ..wire.codes import INVALID_PARAMS, METHOD_NOT_FOUND, MISSING_CAPABILITY, UPSTREAM_UNAVAILABLE
from .carried import CARRIED
from .crawl import crawl
from .interactive import Asking, Interactive, judged, judged_task
from .leases import NoneFree
from .own_sessions import OwnSessions
from .watched import UPDATED, Watched

__all__ = ["State", "Times", "Upstream"]

logger = logging.getLogger(__name__)

State = Literal["asleep", "starting", "up", "down", "closed"]

_KIND_OF: dict[str, Kind] = {"tools/call": "tools", "prompts/get": "prompts"}
_OF_TASKS = frozenset({"notifications/tasks", "notifications/tasks/status"})
_MAX_URI = 8192
"""Of a resource that is told of."""
_ENTRY = "connect"
_OUR_FAULT = "a fault of the gateway"
_SEE_LOG = "the gateway's log says why"


class Times(msgspec.Struct, frozen=True):
    """The clocks of one upstream, in seconds."""

    start_timeout_s: float = 30.0
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    """At most one attempt in this time while it stays down (Envoy's base ejection time)."""
    refresh_s: float = 300.0
    """Lists are read again after this long, for servers that do not tell of changes."""
    refresh_pause_s: float = 1.0
    """Between two readings of the lists, however often a server tells that they changed: some do so 200 times a second."""
    idle_stop_s: float = 900.0
    steady_s: float = 10.0
    """A session that lived this long was a good one: the next start is not a repetition."""


_ASKING = Asking()


def _nobody(items: Sequence[Item]) -> None:
    return


def _to_nobody(upstream: str, uri: str) -> None:
    return


def _ignore_note(method: str, params: JSON) -> None:
    return


def _digests(items: Sequence[Item]) -> dict[str, dict[str | None, str]]:
    return {
        method: {item.name: item.digest for item in items if item.kind == kind} for method, kind in _KIND_OF.items()
    }


class Upstream:
    """A `Handler` for the calls of one upstream."""

    def __init__(
        self,
        name: str,
        open_session: Callable[[Noted, Respondent], Awaitable[Session]],
        *,
        catalog: Catalog,
        naming: Naming,
        starts: asyncio.Semaphore,
        times: Times,
        stops_when_idle: bool,
        listed: Callable[[Sequence[Item]], None] = _nobody,
        asking: Asking = _ASKING,
        open_leased: Callable[[Noted, Respondent], Awaitable[Session]] | None = None,
        own: OwnSessions | None = None,
        entry: str | None = None,
        before: Callable[["Upstream"], Handler] | None = None,
    ) -> None:
        """`listed` is told all it offers whenever it was asked, before anybody sees it. `open_leased`: for the sessions of
        calls that may be asked something, where that is not `open_session`. `own`: the sessions of its callers, where each
        has credentials of its own; then the one that is opened here is for the lists alone. `entry`: describes the tool by
        which one logs in there, for who sees nothing of it before. `before`: what stands between the chain and it.
        """
        self.end: Handler = self if before is None else before(self)
        self.name, self.times = name, times
        self.state: State = "asleep"
        self.reason = "not started yet"
        self.starts = 0
        """How often a session was opened."""
        self._open_session, self._catalog, self.naming, self._gate = open_session, catalog, naming, starts
        self._open_leased_session = open_leased or open_session
        self._listed = listed
        self.watched = Watched(name, self._on_note)
        self.updated: Callable[[str, str], None] = _to_nobody
        """Told of each watched resource that changed: our name, and its URI here."""
        self.task_changed: Callable[[str, str], None] = _to_nobody
        """Told of each task that it says has changed: our name, and its id here."""
        self._stops_when_idle = stops_when_idle
        self._asking = asking
        self._own, self._entry = own, entry
        self.entry = _ENTRY
        """The own name of the tool by which one logs in."""
        self._interactive = Interactive(
            name,
            self._open_leased,
            asking,
            self._outdated,
            idle_s=times.idle_stop_s,
            owner=None if own is None else _whole,
        )
        if own is not None:
            own.noted = self._on_leased_note
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._stale = asyncio.Event()
        self._settled: asyncio.Future[None] = self._loop.create_future()
        self._session: Session | None = None
        self._digests: dict[str, dict[str | None, str]] = {method: {} for method in _KIND_OF}
        """Method → name → what was listed."""
        self._only_asking: dict[str, dict[str | None, str]] = {}
        """The same of what it lists only to clients that can be asked something."""
        self._retry_at_s = 0.0
        self._last_used_s = self._loop.time()
        self._listed_s = 0.0
        self._open_calls: dict[asyncio.Task[object], Call] = {}
        self._withdrawn: dict[asyncio.Task[object], Refused] = {}
        self._owner: asyncio.Task[None] | None = None

    @property
    def session(self) -> Session | None:
        return self._session

    @property
    def holding(self) -> dict[str, int]:
        """How much is open at it now."""
        return {"calls": len(self._open_calls), **self._interactive.holding}

    def start(self) -> "asyncio.Future[None]":
        """Begin to live. The future is resolved when the first attempt has ended, well or not."""
        self._wanted.set()
        self._owner = self._loop.create_task(self._live(), name=f"upstream {self.name}")
        return self._settled

    async def aclose(self) -> None:
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.wait({self._owner})
        await self._interactive.aclose()
        if self._own is not None:
            await self._own.aclose()
        self.state, self.reason = "closed", "the gateway is stopping"
        self._settle()

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._open_calls[task] = call
        try:
            session = self._session or await self._await_session(call)
            if isinstance(session, Failed):
                return session
            if call.capabilities or call.state is not None:
                # What the caller can be asked is offered as far as the operator says.
                call = self._asking.offering(call)
                if call.method == "tasks/get":
                    return judged_task(call, await session(call, emit))
                if session.welcome.era is Era.HANDSHAKE and not runs_as_task(session, call):
                    # Its sessions have declared what is carried; none of it is asked of anybody.
                    asked = {name: said for name, said in call.capabilities.items() if name != "extensions"}
                    call = replace(call, capabilities=asked)
                    if call.capabilities or call.state is not None:
                        return self._outdated(call) or await self._interactive(call, emit)
            outcome = self._outdated(call) or await session(call, emit)
            if type(outcome) is InputRequired:
                return judged(outcome)
            if not isinstance(outcome, Failed) or outcome.sent != "no":
                return outcome
            # What was surely not sent may be sent once more; anything else never.
            emit.trail.attempts = 2
            if session.ended.done():
                self._lose(session)
            session = self._session or await self._await_session(call)
            if isinstance(session, Failed):
                return session
            outcome = self._outdated(call) or await session(call, emit)
            return judged(outcome) if type(outcome) is InputRequired else outcome
        except asyncio.CancelledError:
            refusal = self._withdrawn.get(task)
            if refusal is None:
                raise
            task.uncancel()
            return _cut_off(refusal, emit.trail)
        finally:
            del self._open_calls[task]
            self._withdrawn.pop(task, None)
            self._last_used_s = self._loop.time()

    def withdraw(self, judge: Callable[[Call], Refused | None]) -> int:
        """Cut off what is under way and would be refused now; how many calls that were."""
        self._interactive.withdraw(judge)
        cut = 0
        for task, call in tuple(self._open_calls.items()):
            refusal = judge(call)
            if refusal is not None and task not in self._withdrawn:
                self._withdrawn[task] = refusal
                task.cancel()
                cut += 1
        return cut

    async def subscribe(self, call: Call, emit: Emit) -> Outcome:
        """A `Handler` for `resources/subscribe`."""
        if self._own is not None:
            # One session would be told what all of them may see.
            return Failed(
                METHOD_NOT_FOUND, f"upstream {self.name}: tells nobody of changes: each calls it as himself", "no"
            )
        uri = call.name or ""
        if uri in self.watched:
            return Complete({})
        session = self._session or await self._await_session(call)
        return session if isinstance(session, Failed) else await self.watched.add(uri, session)

    def forget(self, belongs: Callable[[Principal], bool]) -> None:
        """Whose credentials were withdrawn or changed begins anew, with sessions of his own."""
        if self._own is not None:
            self._own.forget(belongs)
            self._interactive.leases.forget(lambda owner: isinstance(owner, Principal) and belongs(owner))

    def _outdated(self, call: Call) -> Refused | None:
        """Whether what is called is no longer what the caller was shown."""
        listed = self._digests.get(call.method)
        if listed is None or listed.get(call.name) == call.digest:
            return None
        if self._only_asking.get(call.method, {}).get(call.name) == call.digest:
            return None if call.capabilities else self._cannot_ask(call)
        return Refused(INVALID_PARAMS, f"gateway: {call.target} has changed since it was listed; list again")

    def _cannot_ask(self, call: Call) -> Refused:
        reason = f"client: {call.target} asks something of its caller, and nothing was declared that it may ask"
        required = {kind: {} for kind in self._asking.kinds}
        return Refused(MISSING_CAPABILITY, reason, {"requiredCapabilities": required})

    async def _await_session(self, call: Call) -> Session | Failed:
        if self._own is not None:
            return await self._own.session(call)
        self._wanted.set()
        if self.state == "closed" or (self.state == "down" and self._loop.time() < self._retry_at_s):
            return self.unavailable()
        patience_s = max(0.0, (call.deadline_s or 0.0) - self._loop.time())
        await asyncio.wait({self._settled}, timeout=patience_s)
        return self._session or self.unavailable()

    def unavailable(self) -> Failed:
        """How a call ends that cannot be put to it now: why, and when it is tried again."""
        wait_s = max(0.0, self._retry_at_s - self._loop.time())
        again = f"; tried again in {wait_s:.0f} s" if self.state == "down" else ""
        return Failed(UPSTREAM_UNAVAILABLE, f"upstream {self.name}: {self.state}: {self.reason}{again}", "no")

    # --- the owner ---

    async def _live(self) -> None:
        failures = 0
        while True:
            await self._wanted.wait()
            if self._own is not None and self._own.anybody is not None and self._own.anybody() is None:
                self._wait_for_somebody()
                continue
            self.state, self.reason = "starting", "starting"
            began_s = self._loop.time()
            try:
                async with self._gate:
                    session = await self._open()
            except (CannotConnect, LinkClosed, TimeoutError) as exc:
                failures += 1
                await self._rest(failures, str(exc) or "took too long to start", f"it cannot be started; {_SEE_LOG}")
                continue
            except LoginFailed as exc:
                failures += 1
                # Whose lists are read may be anybody: what he is told is not for the others.
                alike = self._own is None or self._own.anybody is None
                await self._rest(failures, str(exc), str(exc) if alike else f"it cannot be listed; {_SEE_LOG}")
                continue
            except Exception:
                # The edge of this task: were it to end here, callers would wait for a start that never comes.
                logger.exception("upstream %s could not be started", self.name)
                failures += 1
                await self._rest(failures, _OUR_FAULT, f"{_OUR_FAULT}; {_SEE_LOG}")
                continue
            try:
                self.watched.begin(session)
                ended = await self._stay(session)
            except Exception:
                logger.exception("upstream %s is given up", self.name)
                ended = _OUR_FAULT
            finally:
                self._lose(session)
                await self.watched.end()
                await session.aclose()
            if ended is None:
                failures = 0
                continue
            logger.warning("upstream %s ended: %s", self.name, ended)
            failures = failures + 1 if self._loop.time() - began_s < self.times.steady_s else 0
            if failures:
                await self._rest(failures, ended, f"it ended; {_SEE_LOG}")

    def _wait_for_somebody(self) -> None:
        """Nobody is known there, so nothing can be read; whoever comes first has to log in."""
        self._wanted.clear()
        self.state, self.reason = "asleep", "nobody has logged in there yet"
        self._digests, self._only_asking = {method: {} for method in _KIND_OF}, {}
        self._catalog.publish(self.name, self._entries([]), frozenset({"tools"}) if self._entry else frozenset())
        self._settle()

    def wake(self) -> None:
        """Somebody has become known there."""
        if self.state == "asleep" and self._settled.done():
            self._settled = self._loop.create_future()
        self._wanted.set()

    async def listed(self, within_s: float) -> None:
        """Until it has been tried to list it, at most so long."""
        await asyncio.wait({self._settled}, timeout=within_s)

    def _entries(self, items: Sequence[Item]) -> list[Item]:
        """The tool by which one logs in, shown to who has not."""
        if self._entry is None:
            return []
        taken = any(item.kind == "tools" and item.name == _ENTRY for item in items)
        self.entry = f"{_ENTRY}_gateway" if taken else _ENTRY
        definition = {"name": self.entry, "description": self._entry, "inputSchema": {"type": "object"}}
        return [replace(self.naming.item("tools", self.entry, definition, definition), shown_to="strangers")]

    async def _open(self) -> Session:
        async with asyncio.timeout(self.times.start_timeout_s):
            session = await self._open_session(self._on_note, self._asking.outside)
        # Those of an earlier life may be of an earlier version.
        self._interactive.leases.drop_idle()
        try:
            await self._list(session)
        except BaseException:
            await session.aclose()
            raise
        self.starts += 1
        self._session = session if self._own is None else None
        self.state, self.reason = "up", ""
        self._last_used_s = self._loop.time()
        session.ended.add_done_callback(lambda _: self._lose(session))
        self._settle()
        logger.info("upstream %s is up (%s)", self.name, session.welcome.revision)
        for extension in session.welcome.extensions:
            if extension not in CARRIED:
                logger.warning("upstream %s offers the extension %s, which is not carried here", self.name, extension)
        return session

    async def _list(self, session: Session) -> None:
        self._stale.clear()
        self._listed_s = self._loop.time()
        deadline_s = self._listed_s + self.times.start_timeout_s
        items = await crawl(session, self.naming, deadline_s)
        more: list[Item] = []
        if self._asking.lists and session.welcome.era is Era.HANDSHAKE:
            known = {(item.kind, item.name) for item in items}
            more = [item for item in await self._list_asking(deadline_s) if (item.kind, item.name) not in known]
        self._digests, self._only_asking = _digests(items), _digests(more)
        items += more
        if self._entry is not None:
            items = [replace(item, shown_to="known") for item in items]
            items += self._entries(items)
        self._listed(items)
        self._catalog.publish(self.name, items, _abilities(session.welcome, items, alike=self._own is None))

    async def _list_asking(self, deadline_s: float) -> list[Item]:
        """What it lists to a client that can be asked all that the operator allows. Nothing, where that fails."""
        try:
            async with asyncio.timeout_at(deadline_s), self._interactive.unclaimed() as session:
                return await crawl(session, self.naming, deadline_s)
        except (CannotConnect, LinkClosed, LoginFailed, TimeoutError, NoneFree) as exc:
            logger.warning("upstream %s cannot be listed as a client sees it that can be asked: %s", self.name, exc)
            return []

    async def _open_leased(self, respondent: Respondent, principal: Principal | None) -> Session:
        # Outside of the gate: its owner may hold that, and lists.
        noted = self._on_leased_note if self._asking.lists else _ignore_note
        if self._own is not None and principal is not None:
            return await self._own.leased(principal, respondent, noted)
        async with asyncio.timeout(self.times.start_timeout_s):
            return await self._open_leased_session(noted, respondent)

    async def _stay(self, session: Session) -> str | None:
        """Until the session ends (the reason) or nobody has used it for long (None)."""
        while not session.ended.done():
            stale = self._loop.create_task(self._stale.wait())
            try:
                await asyncio.wait({session.ended, stale}, timeout=self._tick_s(), return_when=asyncio.FIRST_COMPLETED)
            finally:
                stale.cancel()
            if session.ended.done():
                break
            if self._is_idle():
                # Before the session is closed: whoever calls from here on wants it again.
                self._wanted.clear()
                self.state, self.reason = "asleep", "stopped because nobody used it"
                return None
            # What is told meanwhile is in the lists that are read then; what is told later makes them stale again.
            pause_s = self._listed_s + min(self.times.refresh_pause_s, self.times.refresh_s) - self._loop.time()
            if pause_s > 0 and (await asyncio.wait({session.ended}, timeout=pause_s))[0]:
                break
            try:
                await self._list(session)
            except (CannotConnect, LinkClosed, TimeoutError) as exc:
                return f"could not be listed: {exc}"
        return session.ended.result()

    def _tick_s(self) -> float:
        return min(self.times.refresh_s, self.times.idle_stop_s) if self._stops_when_idle else self.times.refresh_s

    def _is_idle(self) -> bool:
        unused_s = self._loop.time() - self._last_used_s
        in_use = self._open_calls or self._interactive.leases.taken or len(self.watched)
        return self._stops_when_idle and not in_use and unused_s >= self.times.idle_stop_s

    async def _rest(self, failures: int, reason: str, shown: str) -> None:
        """Wait before the next attempt. Callers see `shown`; `reason` may quote commands and stderr, and is logged."""
        # Jitter: many upstreams that fell together do not come back together.
        pause_s = min(self.times.first_pause_s * 2 ** min(failures - 1, 16), self.times.longest_pause_s)
        pause_s *= random.uniform(0.8, 1.2)
        self._retry_at_s = self._loop.time() + pause_s
        self.state, self.reason = "down", shown
        self._catalog.withdraw(self.name, f"down: {self.reason}")
        self._settle()
        logger.warning("upstream %s is down (%s); next attempt in %.1f s", self.name, reason, pause_s)
        await asyncio.sleep(pause_s)
        if self._settled.done():
            self._settled = self._loop.create_future()

    def _lose(self, session: Session) -> None:
        # Who is told late that an old session has ended must not lose the one after it.
        if self._session is session:
            self._session = None
            self._settled = self._loop.create_future()

    def _settle(self) -> None:
        if not self._settled.done():
            self._settled.set_result(None)

    def _on_leased_note(self, method: str, params: JSON) -> None:
        # What is watched is told on the session that watches.
        if method.endswith("/list_changed"):
            self._stale.set()

    def _on_note(self, method: str, params: JSON) -> None:
        if method.endswith("/list_changed"):
            self._stale.set()
        elif method == UPDATED and isinstance(uri := params.get("uri"), str) and len(uri) <= _MAX_URI:
            self.updated(self.name, uri)
        elif method in _OF_TASKS and isinstance(id_ := params.get("taskId"), str):
            self.task_changed(self.name, id_)


def _cut_off(refusal: Refused, trail: Trail) -> Failed:
    trail.decision, trail.rule = "deny", refusal.data["rule"]
    said = f"{refusal.reason}; this was decided while it ran: it was cut off and may have run"
    return Failed(refusal.code, said, "unknown", refusal.data)


def _whole(principal: Principal) -> Hashable:
    """Not its identity alone: with other scopes its credentials are others, too."""
    return principal


def _abilities(welcome: Welcome, items: Sequence[Item], *, alike: bool) -> frozenset[str]:
    """`alike`: it is called in one way, whoever calls."""
    tells = alike and has_member(welcome.capabilities, "resources", "subscribe")
    able = welcome.abilities | {"subscribe"} if tells else welcome.abilities - {"subscribe"}
    # A server need not say so: that its tools have pages is all there is to it.
    has_pages = APPS in welcome.extensions or any(page_of(item.definition) for item in items if item.kind == "tools")
    return able | {"ui"} if has_pages else able
