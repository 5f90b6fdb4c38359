"""Streams that are held open. Whoever opened one has to be let in for as long as it lasts, and not only at its beginning.

A token that is withdrawn is good for no longer than five seconds (FEATURES I10), so every stream is looked at anew more
often than that. A stream on which nothing is said is kept awake, and one whose client has gone without a word is found.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from ..protocol.call import Principal
from ..transports.http_server import Reply, Request

__all__ = ["Admit", "Held", "NotYet", "Turned"]

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
_PULSE_EVERY = 7
"""Looks: about 15 s, as often as sse-starlette. Clients and proxies give up after a minute or more."""
_PULSE = b":\n\n"

Header = tuple[bytes, bytes]


class Turned(Exception):
    """Nobody we know, or nobody who may come in by this door: how the request is answered."""

    def __init__(self, status: int, reason: str, headers: Sequence[Header] = ()) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


class NotYet(Exception):
    """Who it is cannot be said at once: somebody else has to be asked. Goes through a door to `waiting.patient`."""

    def __init__(self, principal: Callable[[], Awaitable[Principal]]) -> None:
        """`principal` asks, within bounds of its own. Raises Turned. To be called at most once."""
        super().__init__("who it is has to be asked for")
        self.principal = principal


Admit = Callable[[Request], Principal]
"""Who sent a request. Raises Turned, or NotYet. Every method and every path of the endpoint goes through it.

`memo["admitted"]` of a request is who has been let in with it, after a NotYet; `memo["held"]`: it is asked for once more of a
stream that is open, and what proves anything only once has done so at its beginning.
"""


class _Held(msgspec.Struct, eq=False):
    request: Request
    """As it came, without its body."""
    principal: Principal
    reply: Reply
    end: Callable[[], None]


class Held:
    def __init__(self, admit: Admit, *, look_every_s: float = _LOOK_EVERY_S, pulses: bool = True) -> None:
        """`pulses`: nobody else keeps these streams awake."""
        self._admit, self._look_every_s, self._pulses = admit, look_every_s, pulses
        self._held: list[_Held] = []
        self._looks = 0
        self._asking: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, request: Request, principal: Principal, reply: Reply, end: Callable[[], None]) -> None:
        """`end` is called when who opened `reply`, an open stream, is not let in any more."""
        bare = msgspec.structs.replace(request, body=b"", memo={"held": True})
        self._held.append(_Held(bare, principal, reply, end))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._look_every_s, self._look)

    def close(self) -> None:
        self._held.clear()
        for asking in self._asking:
            asking.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._looks += 1
        pulse = self._pulses and self._looks % _PULSE_EVERY == 0
        held, self._held = self._held, []
        for one in held:
            if not one.reply.is_open:
                continue
            if not self._is_welcome(one):
                one.end()
                continue
            if pulse:
                one.reply.write(_PULSE)
            self._held.append(one)
        more = bool(self._held)
        self._timer = asyncio.get_running_loop().call_later(self._look_every_s, self._look) if more else None

    def _is_welcome(self, one: _Held) -> bool:
        try:
            return self._admit(one.request) == one.principal
        except Turned:
            return False
        except NotYet as later:
            # It goes on until there is an answer, which comes within bounds.
            asking = asyncio.get_running_loop().create_task(self._ask(one, later))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
            return True
        except Exception:
            # A fault in a control refuses; and the others are looked at still.
            logger.exception("it cannot be said whether a stream may go on: it ends")
            return False

    async def _ask(self, one: _Held, later: NotYet) -> None:
        try:
            welcome = await later.principal() == one.principal
        except Turned:
            welcome = False
        except Exception:
            logger.exception("it cannot be said whether a stream may go on: it ends")
            welcome = False
        if not welcome and one.reply.is_open:
            one.end()
