"""What every door shares: ids, conversations, what we say of ourselves, and one way to what serves the calls.

A gateway and a server are served alike: a `Handler` behind the doors, and an `Offer` that says what it can do.
"""

import logging
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import time
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from ..auth.seal import Seal
from ..flow.chain import Emit, Handler, Pausable, Trail
from ..flow.rounds import Unanswered, drive_rounds
from ..protocol.apps import APPS
from ..protocol.call import JSON, Call, Event, Principal
from ..protocol.eras import differences, handshake, stateless
from ..protocol.methods import METHODS, Kind
from ..protocol.outcome import Complete, Deferred, InputRequired, Outcome, Refused
from ..protocol.param_headers import ParamHeader
from ..protocol.questions import undeclared
from ..protocol.tasks import OFFERED
from ..protocol.versions import TASKS_SINCE, URLS_SINCE
from ..wire import rpc
from ..wire.codes import MISSING_CAPABILITY, URL_ELICITATION_REQUIRED
from .asked_client import AskedClient, Say
from .interaction import Interactions, cannot_ask
from .older_tasks import OlderTasks, speaks_of_tasks
from .refusals import UNTOLD, Refusals
from .subscriptions import Bounds, Ear, Subscriptions
from .task_news import TaskNews, follow_older

__all__ = ["ANSWER_WITHIN_S", "About", "Changed", "Listener", "Offer", "conversation_of", "list_names", "new_id"]

logger = logging.getLogger(__name__)

ANSWER_WITHIN_S = 300.0
"""A person reads, thinks and types."""
_MAX_ROUNDS = 32
"""More questions than a person would answer, or a model with tools should need. SDK clients give up after ten."""
_KEPT_LISTS = 32
_NOTHING: JSON = {}
_NO_STREAM = (
    "client: this call has to ask, and a client that takes no event stream cannot be asked;"
    " send `Accept: application/json, text/event-stream`"
)


class _Ids:
    """Ids for calls: 48 bits of wall-clock milliseconds, then 80 random bits, in hex. They sort by time.

    The random bits come from the system in pools: asked for one by one they cost more than the rest of the id.
    """

    __slots__ = ("_at", "_ms", "_pool", "_when")

    def __init__(self) -> None:
        self._pool, self._at = "", 0
        self._ms, self._when = -1, ""

    def __call__(self) -> str:
        at = self._at
        if at == len(self._pool):
            self._pool, at = os.urandom(10 * 256).hex(), 0
        self._at = at + 20
        ms = int(time() * 1000)
        if ms != self._ms:
            self._ms, self._when = ms, f"{ms:012x}"
        return self._when + self._pool[at : at + 20]


new_id = _Ids()


def conversation_of(principal: Principal, place: str) -> str:
    """What the data-flow labels follow: the principal with its authenticated client, or with its stdio process."""
    return f"{principal.tenant}/{principal.subject}/{principal.client or place}"


def list_names(kinds: frozenset[Kind]) -> list[str]:
    """What `notifications/<name>/list_changed` calls the lists that changed."""
    return sorted({"resources" if kind == "resourceTemplates" else kind for kind in kinds})


Changed = Callable[[frozenset[Kind]], None]
"""Told which lists are not what they were."""


class Offer(Protocol):
    """What a door needs to know of what stands behind it."""

    on_change: list[Changed]

    def mirrored(self, tool: str) -> Sequence[ParamHeader]:
        """The arguments of a tool that callers over HTTP mirror into headers."""
        ...

    @property
    def capabilities(self) -> frozenset[str]:
        """What can be asked of it: `tools`, `prompts`, `resources`, `completions`, `logging`; `subscribe` where one is
        told of resources; `tasks` (as of the extension), `task_lists` (2025-11-25 only).
        """
        ...

    def task_level(self, tool: str) -> str | None:
        """`optional` or `required` for a tool that runs as a task."""
        ...


class About(msgspec.Struct, frozen=True):
    """What we say of ourselves."""

    server: JSON
    """Name, version and the other members of the protocol's Implementation."""
    layer: str = "server"
    """Who is at fault when a fault is ours."""
    instructions: str | None = None


class Listener:
    """What serves the calls, and what the doors say before it: discovery and the handshake."""

    def __init__(
        self,
        handler: Handler,
        offer: Offer,
        about: About,
        settled: Callable[[], Awaitable[None]] | None = None,
        *,
        seal: Seal | None = None,
        place: str = "",
        answer_within_s: float = ANSWER_WITHIN_S,
        refusals: Refusals = UNTOLD,
        subscribing: Handler | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """`settled` is waited for before anybody is answered, until `ready`. `seal`: of what callers keep for us between
        rounds; without one, it is worthless after a restart. `place`: tells this door from others with the same seal. `refusals` are
        told of what never gets to the handler. `subscribing` serves
        `resources/subscribe` and `subscriptions/listen`, where that is not `handler`.
        """
        self.handler, self.offer, self.about = handler, offer, about
        self._settled, self._answer_within_s = settled, answer_within_s
        self._subscribing = subscribing or handler
        self.subscriptions = Subscriptions(self._ask, about.layer, bounds or Bounds())
        self.refusals = refusals
        self.task_news = TaskNews(self.run, about.layer, new_id)
        self._asker = "upstream" if about.layer == "gateway" else about.layer
        self._interactions = Interactions(
            seal or Seal(), place, self._asker, time, within_s=answer_within_s, max_rounds=_MAX_ROUNDS
        )
        self._older_tasks = OlderTasks(lambda: self.handler, offer, about.layer, new_id)
        self._older_lists: dict[tuple[str, int], tuple[JSON, Complete]] = {}

    def ready(self) -> None:
        """Nobody need wait any more: for a gateway, when every upstream has had its first chance."""
        self._settled = None

    def internal_fault(self, call_id: str) -> str:
        """What a caller is told when a door itself breaks. Logs the exception that is being handled: the rest is there."""
        logger.exception("call %s could not be answered", call_id)
        return f"{self.about.layer}: an internal error; it is in the {self.about.layer}'s log (call {call_id})"

    def run(self, call: Call, deliver: Callable[[Event], None]) -> Awaitable[Outcome]:
        """`call`, served. Events go to `deliver`, synchronously and in order."""
        emit = Emit(deliver, Trail(call))
        return self.handler(call, emit) if self._settled is None else self._run_settled(self._settled, call, emit)

    async def _run_settled(self, settled: Callable[[], Awaitable[None]], call: Call, emit: Emit) -> Outcome:
        await settled()
        return await self.handler(call, emit)

    def resumed(self, call: Call) -> Call | Refused:
        """`call`, which brings a state, as the next of its interaction."""
        resumed = self._interactions.incoming(call)
        if isinstance(resumed, Refused):
            self.refusals.refused(call, resumed)
        return resumed

    def asking(self, call: Call, asked: InputRequired) -> Outcome:
        """A question, as it may leave for a caller of the stateless era: it keeps the state for us, sealed."""
        outcome = self._interactions.outgoing(call, asked)
        if isinstance(outcome, Refused):
            # Of the interaction: that the call itself has asked is written already.
            self.refusals.refused(replace(call, id=new_id()), outcome)
        return outcome

    async def run_driven(
        self,
        call: Call,
        deliver: Callable[[Event], None],
        asked: AskedClient,
        ear: Ear,
        say: Say | None,
        stream: Pausable | None = None,
    ) -> Outcome:
        """`run` for a caller of the handshake era, which knows no rounds: it is asked with `say`, if that can be. Events
        lose what its revision does not know; `ear` is told of the tasks it begins. `stream`: what the caller is answered
        on, where it can be closed meanwhile."""
        if self._settled is not None:
            await self._settled()
        emit = Emit(lambda event: deliver(differences.strip_event(event, asked.revision)), Trail(call), stream)
        handler = self._handler_for(call, asked.revision, ear)
        outcome = await handler(call, emit)
        if type(outcome) is not InputRequired:
            return outcome

        async def ask(questions: Mapping[str, JSON]) -> JSON:
            refused = _unaskable(call, questions, say, asked.revision)
            if refused is not None:
                self.refusals.refused(replace(call, id=new_id()), refused)
                raise Unanswered(refused)
            assert say is not None
            return await asked.ask(questions, say, self._answer_within_s)

        return await drive_rounds(
            call, emit, handler, ask, first=outcome, asker=self._asker, new_id=new_id, max_rounds=_MAX_ROUNDS
        )

    async def run_subscribing(self, call: Call, ear: Ear) -> Outcome:
        """One of `SUBSCRIBING`, from a caller of the handshake era that is told by `ear`."""
        if call.method == "resources/unsubscribe":
            self.subscriptions.unsubscribe(call.target or "", ear)
            return Complete(_NOTHING)
        return await self.subscriptions.subscribe(call, ear)

    async def _ask(self, call: Call, emit: Emit) -> Outcome:
        if self._settled is not None:
            await self._settled()
        return await self._subscribing(call, emit)

    def _handler_for(self, call: Call, revision: str, ear: Ear) -> Handler:
        if not speaks_of_tasks(call):
            return self.handler
        if revision < TASKS_SINCE or "tasks" not in self.offer.capabilities:
            return self._older_tasks.ignoring
        if call.method != "tools/call":
            return self._older_tasks

        async def begin(call: Call, emit: Emit) -> Outcome:
            outcome = await self._older_tasks(call, emit)
            if isinstance(outcome, Deferred):
                follow_older(self.task_news, call, outcome.task, ear)
            return outcome

        return begin

    async def discover(self) -> dict[str, Any]:
        """The result of `server/discover`."""
        if self._settled is not None:
            await self._settled()
        about = self.about
        capabilities = self._capabilities(list_changed=True)
        if "tasks" in self.offer.capabilities:
            extensions: JSON = capabilities.get("extensions", _NOTHING)
            capabilities = {**capabilities, "extensions": {**OFFERED["extensions"], **extensions}}
        return stateless.discover_result(capabilities, about.server, about.instructions, ttl_ms=5_000)

    async def initialize(self, revision: str, *, list_changed: bool) -> dict[str, Any]:
        """The result of `initialize`. `list_changed`: this door can tell of changed lists."""
        if self._settled is not None:
            await self._settled()
        about = self.about
        capabilities = self._capabilities(list_changed=list_changed)
        if "tasks" in self.offer.capabilities:
            lists = {"list": {}} if "task_lists" in self.offer.capabilities else {}
            capabilities = {**capabilities, "tasks": {**lists, "cancel": {}, "requests": {"tools": {"call": {}}}}}
        return handshake.initialize_result(revision, capabilities, about.server, about.instructions)

    def write_older(self, id: rpc.Id, call: Call, outcome: Outcome, revision: str) -> bytes:
        """The frame that answers `call` in the handshake era; lists lose what `revision` does not know."""
        entry = METHODS.get(call.method)
        if isinstance(outcome, Complete) and entry is not None and entry.lists is not None:
            outcome = self._older_list(entry.lists, outcome, revision)
        return handshake.write_outcome(id, call, outcome, revision)

    def _older_list(self, kind: str, outcome: Complete, revision: str) -> Complete:
        # A view hands out the same result until the catalog changes: what it looks like to an older client is kept.
        key = (revision, id(outcome.result))
        kept = self._older_lists.get(key)
        if kept is None:
            items = [differences.strip_item(kind, item, revision) for item in outcome.result[kind]]
            if kind == "tools" and revision >= TASKS_SINCE and "tasks" in self.offer.capabilities:
                items = [self._with_execution(item) for item in items]
            result = {**outcome.result, kind: items}
            if len(self._older_lists) >= _KEPT_LISTS:
                self._older_lists.clear()
            kept = self._older_lists[key] = (
                outcome.result,
                Complete(differences.strip_result(result, revision) or result),
            )
        return kept[1]

    def _with_execution(self, tool: JSON) -> JSON:
        level = self.offer.task_level(tool["name"])
        return tool if level is None else {**tool, "execution": {"taskSupport": level}}

    def _capabilities(self, *, list_changed: bool) -> JSON:
        has = self.offer.capabilities
        capabilities: dict[str, Any] = {"tools": {"listChanged": list_changed}}
        capabilities |= {name: {"listChanged": list_changed} for name in ("prompts", "resources") if name in has}
        if "subscribe" in has and "resources" in has:
            capabilities["resources"]["subscribe"] = True
        if "ui" in has:
            capabilities["extensions"] = {APPS: {}}
        return capabilities | {name: {} for name in ("completions", "logging") if name in has}


def _unaskable(call: Call, questions: Mapping[str, JSON], say: Say | None, revision: str) -> Refused | None:
    missing = undeclared(questions.values(), call.capabilities)
    if missing is not None:
        return cannot_ask(missing)
    return _unsaid(questions, revision) if say is None else None


def _unsaid(questions: Mapping[str, JSON], revision: str) -> Refused:
    """The answer to who cannot be asked where it calls: pages it is told of all the same (2025-11-25, error -32042)."""
    asked = (question.get("params", _NOTHING) for question in questions.values())
    pages = [params for params in asked if params.get("mode") == "url"]
    if revision < URLS_SINCE or len(pages) < len(questions):
        return Refused(MISSING_CAPABILITY, _NO_STREAM)
    told = [{**page, "elicitationId": secrets.token_urlsafe(16)} for page in pages]
    said = "client: somebody has to visit a page first; then call again"
    return Refused(URL_ELICITATION_REQUIRED, said, {"elicitations": told})
