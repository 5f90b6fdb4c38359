"""A session with one server over Streamable HTTP: a `Handler` like the one over a line.

Each call is an exchange of its own, so an answer belongs to its call by the stream it came on. In the stateless era
there is nothing to open or to lose; giving up closes the connection, which is the cancellation. In the handshake era
the server may hand out a session id; when it forgets it, the session has ended, and the call was not run. There a
stream of its own is held for what belongs to no call (`http_stream`).
Spec: specification/2026-07-28/basic/transports/streamable-http.mdx, specification/2025-11-25/basic/transports.mdx.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from math import inf
from typing import Any

from ..flow.chain import Emit
from ..protocol.call import JSON, Call
from ..protocol.eras import handshake, stateless
from ..protocol.negotiate import judge_answer, judge_status
from ..protocol.outcome import Failed, Outcome
from ..protocol.versions import BATCHING, Era
from ..transports.http_client import Deadline, HttpError, HttpTimeout, Requests, Response
from ..transports.http_parse import HeaderBlock
from ..transports.link import LinkClosed
from ..wire import rpc
from ..wire.codes import (
    DEADLINE_EXCEEDED,
    HEADER_MISMATCH,
    METHOD_NOT_FOUND,
    UNSUPPORTED_VERSION,
    UPSTREAM_UNAVAILABLE,
)
from .authorized import TURNED_AWAY, TurnedAway, refusal_said
from .connect import CannotConnect, refuses_revision, welcome_of_discover, welcome_of_initialize
from .http_exchange import Answer, Broken, Exchange, Heard, frames_in, is_forgotten, read_answer, said
from .http_posting import CUT_OFF, SIDE_S, Header, Posting
from .http_resume import CannotResume, resume
from .http_stream import Garbage, Listening
from .mirroring import Mirroring
from .respondent import NOBODY, Questions, Respondent
from .session import LEVELS, Noted, Welcome, nothing_missed

__all__ = ["HttpSession", "NotTaken", "open_http"]

logger = logging.getLogger(__name__)

_NO_CAPABILITIES: dict[str, Any] = {}
_KEPT_HEADS = 4096
_HELD_S = 900.0
"""A listen stream on which nothing came for so long is not believed to be there."""
_REST_S = 5.0
"""What a greeting has left at least, once it has begun."""
_EAR_S = 2.0
"""How long a session that can be asked something waits for the stream on which that may come."""
_MAX_KEPT_NAME = 1024
"""Of what is called: callers make up URIs, of any length."""


class NotTaken(CannotConnect):
    """The server does not take what is posted: it may be of the transport before this one."""


async def open_http(
    http: Requests,
    url: str,
    *,
    headers: Sequence[Header],
    client: JSON,
    noted: Noted,
    start_timeout_s: float = 30.0,
    max_deadline_s: float = 600.0,
    limits: rpc.Limits = rpc.json.DEFAULT_LIMITS,
    respondent: Respondent = NOBODY,
) -> "HttpSession":
    """A session with the server at `url`. Raises CannotConnect, of which NotTaken is one.

    `respondent` is asked what a server of the handshake era asks.
    """
    session = HttpSession(
        http,
        url,
        headers=headers,
        noted=noted,
        max_deadline_s=max_deadline_s,
        limits=limits,
        respondent=respondent,
    )
    deadline_s = asyncio.get_running_loop().time() + start_timeout_s
    try:
        await session.greet(client, deadline_s)
    except BaseException as exc:
        await session.aclose()
        if isinstance(exc, TimeoutError):
            raise CannotConnect(f"did not answer within {start_timeout_s:g} s") from None
        if isinstance(exc, HttpError | LinkClosed | Broken):
            raise CannotConnect(str(exc)) from exc
        raise
    return session


class HttpSession:
    """Calls to one URL. Made by `open_http`."""

    def __init__(
        self,
        http: Requests,
        url: str,
        *,
        headers: Sequence[Header],
        noted: Noted,
        max_deadline_s: float,
        limits: rpc.Limits,
        respondent: Respondent = NOBODY,
    ) -> None:
        self._http, self._noted, self._max_deadline_s, self._limits = http, noted, max_deadline_s, limits
        self._posting = Posting(http, url, headers)
        self._origin, self._target = self._posting.origin, self._posting.target
        self._heads: dict[tuple[str, str], HeaderBlock] = {}
        self._mirroring = Mirroring()
        self._ids = count(1)
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, Exchange] = {}
        """Calls of the handshake era: what the server says on its own stream may belong to one."""
        self._level = ""
        self._levelling: asyncio.Task[None] | None = None
        self._ear: asyncio.Task[None] | None = None
        self.missed = nothing_missed
        self._envelope = stateless.Envelope({}, _NO_CAPABILITIES)
        self._modern = self._batches = False
        self._declared, self._respondent = respondent.capabilities, respondent
        self._questions = Questions(respondent, self._posting.reply, self._turned)
        self.welcome: Welcome
        self.ended: asyncio.Future[str] = self._loop.create_future()

    async def greet(self, client: JSON, deadline_s: float) -> None:
        """Find the era and, where there is one, shake hands."""
        self._envelope = stateless.Envelope(client, self._respondent.stateless, self._respondent.extensions)
        answer = await self._discover(deadline_s)
        # Whoever had to log in first, for which the deadline stood still, has time for the rest.
        deadline_s = max(deadline_s, self._loop.time() + _REST_S)
        era = Era.HANDSHAKE if answer is None else judge_answer(answer)
        if era is Era.STATELESS and answer is not None and refuses_revision(answer):
            # It names the one it was asked in: once more, then.
            answer = await self._discover(deadline_s)
        if era is Era.STATELESS and isinstance(answer, rpc.Response):
            self.welcome, self._modern = welcome_of_discover(answer.result), True
        elif era is Era.HANDSHAKE:
            await self._shake_hands(client, deadline_s)
        else:
            raise CannotConnect("speaks no revision of the protocol that is spoken here")

    async def _discover(self, deadline_s: float) -> Answer | None:
        """None: no answer, and that it gives none says that it is of the handshake era. Raises CannotConnect."""
        frame = rpc.write_request(next(self._ids), "server/discover", {"_meta": self._envelope.own})
        headers = (*self._posting.headers, *stateless.http_headers("server/discover", {}))
        heard = Heard(self, Deadline(deadline_s))
        response = await self._posting.post_and_hear(headers, frame, heard)
        # Whatever stands in it, a refusal of credentials says nothing of eras.
        answer = None if response.status in TURNED_AWAY else heard.answer or read_answer(response, self._limits)
        if answer is None:
            _refuse_unless_evidence(response)
        return answer

    async def _shake_hands(self, client: JSON, deadline_s: float) -> None:
        params = handshake.initialize_params(client, self._respondent.declared)
        frame = rpc.write_request(next(self._ids), "initialize", params)
        heard = Heard(self, Deadline(deadline_s))
        response = await self._posting.post_and_hear(self._posting.headers, frame, heard)
        answer = heard.answer or read_answer(response, self._limits)
        if answer is None and judge_status(response.status):
            raise NotTaken(f"POST is answered with status {response.status}")
        answer = answer or self._answer(response)
        session_id = response.headers.get(b"mcp-session-id")
        if session_id:
            # Before it is looked at: a session that cannot be used is ended, too.
            self._posting.add((b"mcp-session-id", session_id))
        self.welcome = welcome_of_initialize(answer)
        self._batches = self.welcome.revision in BATCHING
        self._posting.add((b"mcp-protocol-version", self.welcome.revision.encode()))
        await self._posting.post(
            self._posting.headers, rpc.write_notification("notifications/initialized", {}), deadline_s
        )
        listening = self._listening()
        self._ear = self._loop.create_task(self._listen(listening))
        if self._declared:
            # Much of what is asked comes there (of mcp 1.x, every `roots/list`), and is lost while nobody listens.
            await asyncio.wait({listening.answered}, timeout=_EAR_S)

    async def __call__(self, call: Call, emit: Emit, *, again: bool = True) -> Outcome:
        if call.log_level is not None:
            await self._raise_level(call.log_level, call.deadline_s)
        now_s = self._loop.time()
        id_ = next(self._ids)
        modern = self._modern
        if modern:
            written = emit.trail.written
            encoded = written[1] if written is not None and written[0] is call.params else None
            envelope = self._envelope.offering(call.capabilities) if call.capabilities else self._envelope
            frame, head = stateless.write_call(id_, call, envelope, encoded), self._head(call)
        else:
            unfit = handshake.retry_fault(call) if call.state is not None else None
            if unfit is not None:
                return unfit
            frame, head = handshake.write_call(id_, call, self.welcome.revision), self._posting.block
        exchange = Exchange(call.deadline_s or now_s, now_s, self, call, emit)
        if not modern:
            self._open[id_] = exchange
        try:
            try:
                response = await self._http.request(
                    "POST", self._origin, self._target, head, frame, deadline=exchange, on_event=exchange.on_event
                )
            except HttpError as exc:
                # An answer that was told counts, whatever became of its stream.
                stream = exchange.stream
                if stream is None or (
                    stream.answer is None and (modern or type(exc) is HttpTimeout or not stream.last_id)
                ):
                    raise
                response = CUT_OFF
            stream = exchange.stream
            if stream is not None and stream.last_id and stream.answer is None and not modern:
                await resume(self._http, (self._origin, self._target), self._posting.headers, stream, exchange)
            if stream is None and response.status == 200:
                answer = rpc.read(response.body, self._limits)
                if type(answer) is not rpc.Response:
                    answer = self._answer(response)
            else:
                answer = (stream and stream.answer) or self._answer(response)
            if answer.id != id_:
                raise Broken("answers another request than the one it was sent")
        except asyncio.CancelledError:
            self._cancel(id_)
            raise
        except HttpTimeout as exc:
            self._cancel(id_)
            return Failed(DEADLINE_EXCEEDED, f"upstream: no answer within {exchange.allowance_s:g} s", exc.sent)
        except TurnedAway as exc:
            return Failed(UPSTREAM_UNAVAILABLE, f"upstream: {exc}", exc.sent)
        except HttpError as exc:
            return Failed(UPSTREAM_UNAVAILABLE, f"network: {exc}", exc.sent)
        except LinkClosed as exc:
            return Failed(UPSTREAM_UNAVAILABLE, f"upstream: {exc}", "no")
        except (Broken, CannotResume) as exc:
            return Failed(UPSTREAM_UNAVAILABLE, f"upstream: {exc}", "yes")
        except rpc.FrameError as exc:
            return Failed(UPSTREAM_UNAVAILABLE, f"upstream: broke the protocol: {exc}", "yes")
        finally:
            if not modern:
                del self._open[id_]
        if not modern:
            return handshake.read_outcome(answer, self._declared)
        if type(answer) is rpc.Error:
            if answer.code == UNSUPPORTED_VERSION:
                self._end("the server does not speak this revision any more")
            elif answer.code == HEADER_MISMATCH and again and await self._relearned(call):
                return await self(call, emit, again=False)
        return stateless.read_outcome(answer, call)

    def usable(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        # Heads that were made for a tool may lack what it mirrors now.
        self._heads.clear()
        return self._mirroring.usable(tools) if self._modern else tools

    async def _relearned(self, call: Call) -> bool:
        """Whether the server wants other headers than it was sent: then it has not run the call."""
        if not await self._mirroring.relearned(call, self.ask, call.deadline_s or self._loop.time()):
            return False
        self._heads.clear()
        # Whoever keeps the list has an old one.
        self._noted("notifications/tools/list_changed", {})
        return True

    async def ask(self, method: str, params: JSON, deadline_s: float) -> Answer:
        id_ = next(self._ids)
        headers = self._posting.headers
        if self.welcome.era is Era.STATELESS:
            headers = (*headers, *stateless.http_headers(method, params))
            params = {**params, "_meta": self._envelope.own}
        heard = Heard(self, Deadline(deadline_s))
        try:
            response = await self._posting.post_and_hear(headers, rpc.write_request(id_, method, params), heard)
            return heard.answer or self._answer(response)
        except HttpTimeout:
            raise TimeoutError from None
        except (HttpError, Broken) as exc:
            raise LinkClosed(str(exc)) from exc

    async def listen(self, notifications: JSON, hear: Noted) -> Answer:
        id_ = next(self._ids)
        params = stateless.listening(notifications, self._envelope)
        headers = (*self._posting.headers, *stateless.http_headers("subscriptions/listen", params))
        frame = rpc.write_request(id_, "subscriptions/listen", params)
        deadline = Deadline(self._loop.time() + SIDE_S)

        def on_note(note: rpc.Notification) -> None:
            deadline.at = self._loop.time() + _HELD_S
            hear(note.method, note.params)

        heard = Heard(self, deadline, on_note)
        try:
            response = await self._posting.post_and_hear(headers, frame, heard)
            return heard.answer or self._answer(response)
        except (HttpError, Broken) as exc:
            raise LinkClosed(str(exc)) from exc

    async def aclose(self) -> None:
        """End the session at the server, if it has one, and wait for what is on its way."""
        await self._questions.aclose()
        if self._ear is not None:
            self._ear.cancel()
            await asyncio.wait({self._ear})
        await self._posting.aclose(ends=not self.ended.done())

    # --- exchanges ---

    def _head(self, call: Call) -> HeaderBlock:
        key = (call.method, call.name or "")
        head = self._heads.get(key)
        if head is None:
            headers = stateless.http_headers(call.method, call.params)
            values = self._mirroring.values(call)
            if values is not None:
                return self._posting.block.plus(*headers, *values)
            if call.method.startswith("tasks/"):
                # One of many that come and go; and what is called may be known here by another name than its id.
                return self._posting.block.plus(*headers)
            if len(key[1]) > _MAX_KEPT_NAME:
                return self._posting.block.plus(*headers)
            if len(self._heads) >= _KEPT_HEADS:
                self._heads.clear()
            head = self._heads[key] = self._posting.block.plus(*headers)
        return head

    def _answer(self, response: Response) -> Answer:
        """The JSON-RPC answer in a response. Raises Broken, or LinkClosed when the session is gone."""
        answer = read_answer(response, self._limits)
        if self._posting.has_session and (response.status == 404 or is_forgotten(response.status, answer)):
            self._end("the server has forgotten the session")
            raise LinkClosed("the server has forgotten the session")
        if answer is None and response.status in TURNED_AWAY:
            raise TurnedAway(refusal_said(response), "no")
        if answer is None:
            raise Broken(said(response))
        return answer

    def hear(self, data: bytes) -> Sequence[rpc.Frame]:
        return frames_in(data, self._limits, batches=self._batches)

    def asked(self, request: rpc.Request) -> None:
        """The server asks something."""
        at_once = self._questions.ask(request)
        if at_once is not None:
            self._posting.reply(at_once)

    def _turned(self) -> None:
        # What is asked on the stream that belongs to no call may be of any: none runs out of time while it is open.
        now_s = self._loop.time()
        for exchange in self._open.values():
            hard_s = exchange.began_s + self._max_deadline_s
            exchange.at = hard_s if self._questions else min(now_s + exchange.allowance_s, hard_s)

    def later(self, began_s: float, allowance_s: float) -> float:
        """The deadline of a call that has just made progress."""
        return min(self._loop.time() + allowance_s, began_s + self._max_deadline_s)

    def note(self, note: rpc.Notification) -> None:
        if note.method == "notifications/cancelled" and self._questions.withdraw(note.params.get("requestId")):
            return
        self._noted(note.method, note.params)

    # --- beside the calls ---

    def _cancel(self, id_: int) -> None:
        # Closing the connection says it in the stateless era; before, a disconnect means nothing.
        if self.welcome.era is Era.HANDSHAKE:
            note = rpc.write_notification("notifications/cancelled", {"requestId": id_, "reason": "given up"})
            self._posting.tell(note)

    async def _raise_level(self, wanted: str, deadline_s: float | None) -> None:
        """A session has one log level: the most verbose that anybody asked for.

        It is waited for: a call takes a connection of its own, and must not be there first.
        """
        if self._modern or "logging" not in self.welcome.capabilities:
            return
        if self._level == "" or LEVELS[wanted] < LEVELS[self._level]:
            before, self._level = self._level, wanted
            self._levelling = self._posting.begin(self._set_level(wanted, before))
        if self._levelling is not None and not self._levelling.done():
            now_s = self._loop.time()
            await asyncio.wait({self._levelling}, timeout=max(0.0, (deadline_s or now_s) - now_s))

    async def _set_level(self, level: str, before: str) -> None:
        said: rpc.Response | rpc.Error | None = None
        with suppress(LinkClosed, TimeoutError):
            said = await self.ask("logging/setLevel", {"level": level}, self._loop.time() + SIDE_S)
        if type(said) is not rpc.Response and self._level == level:
            # It was not taken: the next call that wants it asks again.
            self._level = before

    def _listening(self) -> Listening:
        where = (self._origin, self._target)
        heard = Heard(self, Deadline(inf), self._on_stream_note)

        def hear(data: bytes) -> None:
            try:
                heard.take(data)
            except Broken as exc:
                raise Garbage(str(exc)) from None

        return Listening(self._http, where, self._posting.headers, hear=hear, missed=self._missed)

    async def _listen(self, listening: Listening) -> None:
        status = await listening.held()
        logger.info("an upstream offers no stream of its own (%d)", status)
        if self._posting.has_session and (status == 404 or listening.opened):
            await self._doubt()

    async def _doubt(self) -> None:
        """Find out whether the server has forgotten the session. Not all say it with 404, as they should."""
        with suppress(LinkClosed, TimeoutError):
            answer = await self.ask("ping", {}, self._loop.time() + SIDE_S)
            if isinstance(answer, rpc.Error) and answer.code != METHOD_NOT_FOUND:
                self._end("the server does not take its session any more")

    def _on_stream_note(self, note: rpc.Notification) -> None:
        """Not every server says what a notification belongs to; where there is no doubt, its call hears it."""
        exchange: Exchange | None = None
        if note.method == "notifications/progress":
            token: object = note.params.get("progressToken")
            exchange = self._open.get(token) if type(token) is int else None
        elif note.method == "notifications/message" and len(self._open) == 1:
            exchange = next(iter(self._open.values()))
        if exchange is None:
            self.note(note)
        else:
            exchange.on_note(note)

    def _missed(self) -> None:
        self._noted("notifications/tools/list_changed", {})
        self.missed()

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)


def _refuse_unless_evidence(response: Response) -> None:
    if response.status in TURNED_AWAY:
        raise CannotConnect(f"{refusal_said(response)}; set `headers` of this upstream")
    if not judge_status(response.status):
        raise CannotConnect(said(response))
