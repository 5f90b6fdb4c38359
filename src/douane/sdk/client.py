"""A client of one server: what a program, or the command line, calls tools with.

It waits as long as the deadline says and raises `ServerError` for an error. Cancelling a call cancels it at the server.
What a server asks in mid-call, in either era, is answered by the callbacks it was given; what it has no callback for, it
does not declare.
"""

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from ..flow.chain import Emit, Trail
from ..flow.rounds import Unanswered, drive_rounds
from ..protocol.call import JSON, Call, Event, Principal
from ..protocol.methods import METHODS, Method, target_of
from ..protocol.outcome import Complete, Deferred, Failed, Outcome, Refused
from ..protocol.tasks import OFFERED, Task, needs_task, read_task
from ..protocol.versions import Era
from ..transports.link import LinkClosed
from ..wire.codes import DEADLINE_EXCEEDED, METHOD_NOT_FOUND, UPSTREAM_UNAVAILABLE
from ..wire.json import is_object
from .answer import Answer, ServerError, answer_of, objects_of
from .callbacks import Elicit, ElicitUrl, Sample, responding
from .changes import Changes
from .context import Level
from .kept import Kept, ttl_ms_of
from .pages import Pages, pages
from .respondent import NoReply
from .session import Noted, Session
from .target import Auth, Reaching, Target, open_target
from .tool_task import ToolTask
from .watch import Unwatchable, Watch, has_member, watch

__all__ = ["Answer", "Client", "ServerError", "ToolTask"]

_SELF = Principal("self")
_NO_ARGUMENTS: Mapping[str, Any] = {}
_ABANDON_S = 5.0
"""How long the cancellation of a task may take that nobody waits for any more."""
_OTHER = Method()
_MAX_S = 600.0
"""For one call with all its questions: ten minutes is the longest tool seen in use."""

OnProgress = Callable[[float, float | None, str | None], None]
"""Told how far a call is: done, of how much, in words."""
OnLog = Callable[[str, Any], None]
"""Told what a server logs during a call: level and data."""


class Client:
    """Calls to one server: a URL, a command, a `Server` of this process, or an open session, which it closes.

    Used as `async with Client(...) as client`. Opening raises CannotConnect.
    """

    def __init__(
        self,
        target: Target | Session,
        *,
        deadline_s: float = 60.0,
        how: Reaching | None = None,
        auth: Auth | None = None,
        on_note: Noted | None = None,
        cache: bool = False,
        elicit: Elicit | None = None,
        elicit_url: ElicitUrl | None = None,
        sample: Sample | None = None,
        samples_with_tools: bool = False,
        roots: Sequence[str | Path | Mapping[str, Any]] | None = None,
    ) -> None:
        """`deadline_s`: for each call that does not say another; the time that answers take is not in it. `on_note` is
        told what belongs to no call, such as `notifications/tools/list_changed`. `auth`: how to log in to a server at a URL,
        for example `OAuth()`. `cache`: lists and resources are not
        asked for again while the server says that they may be kept, and has not told that they changed. The rest answers
        what servers ask.
        """
        self.deadline_s = deadline_s
        self._respondent = responding(
            elicit=elicit, elicit_url=elicit_url, sample=sample, samples_with_tools=samples_with_tools, roots=roots
        )
        self._how, self._on_note = how or Reaching(), on_note or _ignore_note
        if auth is not None:
            self._how = replace(self._how, auth=auth)
        self._stack = AsyncExitStack()
        self._kept = Kept(time.monotonic) if cache else None
        self._watch: Watch | None = None
        self._is_closed = False
        self._subscribed: dict[str, None] = {}
        self._followed: dict[str, list[asyncio.Event]] = {}
        self._readers: weakref.WeakSet[Changes] = weakref.WeakSet()
        # An open session has `welcome`; nothing else that can be called does.
        self._target: Target | None = None
        self.session: Session
        if hasattr(target, "welcome"):
            self.session = target  # pyright: ignore[reportAttributeAccessIssue]
            self._stack.push_async_callback(self.session.aclose)
        else:
            self._target = target  # pyright: ignore[reportAttributeAccessIssue]

    async def __aenter__(self) -> "Client":
        if self._target is not None:
            try:
                self.session = await open_target(self._target, self._how, self._hear, self._stack, self._respondent)
            except BaseException:
                await self.aclose()
                raise
        self.session.ended.add_done_callback(lambda _: self._end_readers())
        if self._kept is not None:
            self._watching()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the session, and the process or server that was started for it."""
        self._is_closed = True
        self._end_readers()
        await self._stack.aclose()

    # --- what the server is ---

    @property
    def era(self) -> Era:
        return self.session.welcome.era

    @property
    def server(self) -> JSON:
        """Its name and version, as it says."""
        return self.session.welcome.server

    @property
    def instructions(self) -> str | None:
        """For the model, how to use all this together."""
        return self.session.welcome.instructions

    @property
    def is_open(self) -> bool:
        return not self._is_closed and not self.session.ended.done()

    # --- what can be asked of it ---

    async def tools(self) -> "list[dict[str, Any]]":
        """Its tools, as the protocol writes them. None when it has none. Raises ServerError, as all below."""
        return await self._all("tools/list", "tools")

    async def resources(self) -> "list[dict[str, Any]]":
        return await self._all("resources/list", "resources")

    async def templates(self) -> "list[dict[str, Any]]":
        return await self._all("resources/templates/list", "resources")

    async def prompts(self) -> "list[dict[str, Any]]":
        return await self._all("prompts/list", "prompts")

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] = _NO_ARGUMENTS,
        *,
        deadline_s: float | None = None,
        on_progress: OnProgress | None = None,
        on_log: OnLog | None = None,
        log_level: Level = "info",
    ) -> Answer:
        """What `tool` answers. `log_level`: the least severe message `on_log` wants."""
        wants_progress = on_progress is not None
        call = self._call(
            "tools/call",
            {"name": tool, "arguments": dict(arguments)},
            wants_progress=wants_progress,
            log_level=log_level if on_log is not None else None,
            deadline_s=deadline_s,
        )
        # Who wants to hear how it goes is better served while it waits: a task has neither progress nor log.
        outcome = await self._run_tool(
            call, _ears(on_progress, on_log), may_defer=on_progress is None and on_log is None
        )
        if isinstance(outcome, Deferred):
            return await self._await_task(self._task_of(outcome), call.deadline_s)
        return answer_of(_result(outcome))

    async def start(
        self, tool: str, arguments: Mapping[str, Any] = _NO_ARGUMENTS, *, deadline_s: float | None = None
    ) -> ToolTask:
        """Call `tool` without waiting for its answer, where the server lets it run as a task. `deadline_s`: for it to
        be started, or answered where it is not.
        """
        call = self._call("tools/call", {"name": tool, "arguments": dict(arguments)}, deadline_s=deadline_s)
        outcome = await self._run_tool(call, None, may_defer=True)
        if isinstance(outcome, Deferred):
            return self._task_of(outcome)
        return self.task("", answer=answer_of(_result(outcome)))

    def task(self, id: str, last: Task | None = None, answer: Answer | None = None) -> ToolTask:
        """The task of that id, started before, perhaps by another client of the same principal."""
        return ToolTask(id, self._ask_of_tasks, self._reply_to_task, self._follow, last, answer)

    async def read(self, uri: str) -> "list[dict[str, Any]]":
        """What the resource holds: its contents, as the protocol writes them."""
        if self._kept is None:
            return objects_of(await self.request("resources/read", {"uri": uri}), "contents")
        key = ("resources/read", uri)
        found = self._kept.get(key)
        if found is None:
            asked = self._kept.asking()
            result = await self.request("resources/read", {"uri": uri})
            found = objects_of(result, "contents")
            self._kept.put(key, found, ttl_ms_of(result), asked)
        return list(found)

    async def prompt(self, name: str, arguments: Mapping[str, str] = _NO_ARGUMENTS) -> "list[dict[str, Any]]":
        """The messages of a prompt."""
        found = await self.request("prompts/get", {"name": name, "arguments": dict(arguments)})
        return objects_of(found, "messages")

    async def complete(
        self, of: str, argument: str, typed: str, others: Mapping[str, str] = _NO_ARGUMENTS
    ) -> "list[str]":
        """How `argument` of a prompt, or of a URI template, may go on from what was typed."""
        ref = {"type": "ref/resource", "uri": of} if "://" in of else {"type": "ref/prompt", "name": of}
        params: dict[str, Any] = {"ref": ref, "argument": {"name": argument, "value": typed}}
        if others:
            params["context"] = {"arguments": dict(others)}
        found: object = (await self.request("completion/complete", params)).get("completion")
        values: object = found.get("values") if is_object(found) else None
        if not isinstance(values, list) or not all(isinstance(value, str) for value in cast("list[object]", values)):
            raise ServerError(UPSTREAM_UNAVAILABLE, "server: answers without a list of values")
        return cast("list[str]", values)

    # --- what it tells of its own accord ---

    async def subscribe(self, uri: str) -> None:
        """Be told when what is read at `uri`, or below it, is not what it was; see `changes`."""
        if not has_member(self.session.welcome.capabilities, "resources", "subscribe"):
            raise ServerError(METHOD_NOT_FOUND, "the server does not tell of resources that change")
        if not self.is_open:
            raise ServerError(UPSTREAM_UNAVAILABLE, "client: the session has ended")
        try:
            await self._watching().add(uri)
        except Unwatchable as exc:
            raise ServerError(exc.code, str(exc)) from None
        except TimeoutError:
            raise ServerError(DEADLINE_EXCEEDED, "the server does not say whether it tells of changes") from None
        except LinkClosed as exc:
            raise ServerError(UPSTREAM_UNAVAILABLE, str(exc)) from None
        self._subscribed[uri] = None

    def unsubscribe(self, uri: str) -> None:
        """Be told no longer of `uri`."""
        self._subscribed.pop(uri, None)
        if self._watch is not None and self.is_open:
            self._watch.drop(uri)

    def changes(self) -> Changes:
        """What changes from now on: lists, and what was subscribed to. It ends with the session.

            async for change in client.changes():
                if change.what == "tools":
                    tools = await client.tools()

        A change that nobody has looked at yet is told once, and after a lost connection everything counts as changed.
        """
        reader = Changes()
        if self.is_open:
            self._watching()
            self._readers.add(reader)
        else:
            reader.end()
        return reader

    def _watching(self) -> Watch:
        if self._watch is None:
            self._watch = watch(self.session, self._hear)
            # It ends before the session does.
            self._stack.push_async_callback(self._watch.aclose)
        return self._watch

    def _hear(self, method: str, params: JSON) -> None:
        self._on_note(method, params)
        if method in ("notifications/tasks", "notifications/tasks/status"):
            for news in self._followed.get(str(params.get("taskId")), ()):
                news.set()
        if self._kept is not None:
            self._kept.hear(method, params)
        for reader in tuple(self._readers):
            reader.hear(method, params, self._subscribed)

    def _end_readers(self) -> None:
        for reader in tuple(self._readers):
            reader.end()

    async def request(self, method: str, params: JSON, on_event: Callable[[Event], None] | None = None) -> JSON:
        """The result of one request."""
        return await self._request(method, params, on_event, wants_progress=on_event is not None)

    async def _request(
        self,
        method: str,
        params: JSON,
        on_event: Callable[[Event], None] | None,
        *,
        wants_progress: bool,
        log_level: str | None = None,
        deadline_s: float | None = None,
    ) -> JSON:
        call = self._call(method, params, wants_progress=wants_progress, log_level=log_level, deadline_s=deadline_s)
        return _result(await self._run(call, on_event))

    def _call(
        self,
        method: str,
        params: JSON,
        *,
        wants_progress: bool = False,
        log_level: str | None = None,
        deadline_s: float | None = None,
    ) -> Call:
        within_s = self.deadline_s if deadline_s is None else deadline_s
        return Call(
            id="",
            root="",
            method=method,
            params=params,
            principal=_SELF,
            target=target_of(method, params),
            name=target_of(method, params),
            wants_progress=wants_progress,
            log_level=log_level,
            capabilities=self._respondent.capabilities if METHODS.get(method, _OTHER).may_ask else _NO_ARGUMENTS,
            deadline_s=asyncio.get_running_loop().time() + within_s,
        )

    async def _run(self, call: Call, on_event: Callable[[Event], None] | None) -> Outcome:
        emit = Emit(on_event or _ignore, Trail(call))
        return await (
            self._in_rounds(call, emit) if METHODS.get(call.method, _OTHER).may_ask else self.session(call, emit)
        )

    # --- tools that run as tasks ---

    async def _run_tool(self, call: Call, on_event: Callable[[Event], None] | None, *, may_defer: bool) -> Outcome:
        as_task = replace(call, capabilities={**call.capabilities, **OFFERED})
        outcome = await self._run(as_task if may_defer else call, on_event)
        return await self._run(as_task, on_event) if not may_defer and needs_task(outcome) else outcome

    async def _await_task(self, task: ToolTask, deadline_s: float | None) -> Answer:
        """Its result; who does not wait any more cancels it."""
        now_s = asyncio.get_running_loop().time()
        try:
            return await task.result(max(0.0, (deadline_s or now_s) - now_s))
        except (asyncio.CancelledError, ServerError):
            await self._abandon(task)
            raise

    async def _abandon(self, task: ToolTask) -> None:
        with suppress(ServerError, TimeoutError):
            async with asyncio.timeout(_ABANDON_S):
                await task.cancel()

    def _task_of(self, outcome: Deferred) -> ToolTask:
        try:
            task = read_task(outcome.task)
        except ValueError as exc:
            raise ServerError(UPSTREAM_UNAVAILABLE, f"server: answers with {exc}") from None
        return self.task(task.id, task)

    async def _ask_of_tasks(self, method: str, params: JSON) -> JSON:
        answers: JSON = params.get("inputResponses", _NO_ARGUMENTS)
        asked = {key: value for key, value in params.items() if key != "inputResponses"}
        capabilities = {**self._respondent.capabilities, **OFFERED}
        call = replace(self._call(method, asked), capabilities=capabilities, answers=answers)
        return _result(await self._run(call, None))

    @contextmanager
    def _follow(self, task: str) -> Generator[asyncio.Event]:
        news = asyncio.Event()
        self._followed.setdefault(task, []).append(news)
        self._watching().follow(task)
        try:
            yield news
        finally:
            self._followed[task].remove(news)
            if not self._followed[task]:
                del self._followed[task]
                if self._watch is not None:
                    self._watch.unfollow(task)

    async def _reply_to_task(self, asks: Mapping[str, JSON]) -> JSON:
        try:
            return await self._reply(asks)
        except Unanswered as exc:
            raise _refusal(exc.outcome) from None

    async def _in_rounds(self, call: Call, emit: Emit) -> Outcome:
        """`call`, answering what is asked: each round has the time of a call, all together `_MAX_S`."""
        now_s = asyncio.get_running_loop().time
        within_s = (call.deadline_s or now_s()) - now_s()
        end_s = now_s() + max(_MAX_S, within_s)

        def again(call: Call, emit: Emit) -> Awaitable[Outcome]:
            return self.session(replace(call, deadline_s=min(now_s() + within_s, end_s)), emit)

        try:
            async with asyncio.timeout_at(end_s):
                return await drive_rounds(call, emit, again, self._reply)
        except TimeoutError:
            return Failed(DEADLINE_EXCEEDED, f"client: its questions took more than {_MAX_S:g} s", "unknown")

    async def _reply(self, asks: Mapping[str, JSON]) -> JSON:
        replies = [
            asyncio.ensure_future(self._respondent.reply(question["method"], question.get("params", _NO_ARGUMENTS)))
            for question in asks.values()
        ]
        try:
            return dict(zip(asks, await asyncio.gather(*replies), strict=True))
        except NoReply as exc:
            raise Unanswered(Refused(exc.code, str(exc))) from exc
        finally:
            # Where one is refused, nobody is asked the others any more.
            for one in replies:
                one.cancel()
            await asyncio.wait(replies)

    async def _all(self, method: str, capability: str) -> "list[dict[str, Any]]":
        if capability not in self.session.welcome.capabilities:
            return []
        if self._kept is None:
            return (await self.list(method))[0]
        key = (method, "")
        found = self._kept.get(key)
        if found is None:
            asked = self._kept.asking()
            found, _, ttl_ms = await self._pages(method, _NO_ARGUMENTS)
            self._kept.put(key, found, ttl_ms, asked)
        return list(found)

    async def list(self, method: str, meta: JSON = _NO_ARGUMENTS) -> tuple[list[dict[str, Any]], JSON]:
        """All pages of one list, and `_meta` of the last page. `meta` is sent with each request."""
        found = await self._pages(method, meta)
        return found.items, found.meta

    async def _pages(self, method: str, meta: JSON) -> Pages:
        found = await pages(self.request, method, meta)
        return found._replace(items=self.session.usable(found.items)) if method == "tools/list" else found


def _result(outcome: Outcome) -> JSON:
    """Raises ServerError."""
    match outcome:
        case Complete(result):
            return result
        case Refused() | Failed():
            raise _refusal(outcome)
        case _:
            raise ServerError(0, "the server asks for input that cannot be given here")


def _refusal(outcome: Refused | Failed) -> ServerError:
    reason = outcome.reason if isinstance(outcome, Refused) else outcome.message
    return ServerError(outcome.code, reason, outcome.data)


def _ears(on_progress: OnProgress | None, on_log: OnLog | None) -> Callable[[Event], None] | None:
    if on_progress is None and on_log is None:
        return None

    def hear(event: Event) -> None:
        params = event.params
        if event.method == "notifications/progress" and on_progress is not None:
            on_progress(params.get("progress", 0), params.get("total"), params.get("message"))
        elif event.method == "notifications/message" and on_log is not None:
            on_log(str(params.get("level")), params.get("data"))

    return hear


def _ignore(event: Event) -> None:
    return


def _ignore_note(method: str, params: JSON) -> None:
    return
