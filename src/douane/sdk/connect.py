"""Opening a session with a server over a line: which era it speaks, and the handshake where there is one.

The probe is `server/discover`. A server that stays silent is given `patience_s` and then greeted in the old way on
the same line, whichever answer comes first decides: some old servers ignore what they do not know, and some new ones
take twenty seconds to start. A server that dies on the probe is started anew and greeted in the old way at once.
Spec: specification/2026-07-28/basic/transports/stdio.mdx:124-139.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..protocol.call import JSON
from ..protocol.eras import handshake, stateless
from ..protocol.negotiate import judge_answer
from ..protocol.versions import MODERN, Era
from ..transports.link import Link, LinkClosed
from ..wire import rpc
from ..wire.codes import UNSUPPORTED_VERSION
from ..wire.json import is_object
from .respondent import NOBODY, Respondent
from .session import LineSession, Noted, Welcome

__all__ = ["CannotConnect", "open_line", "refuses_revision", "welcome_of_discover", "welcome_of_initialize"]

logger = logging.getLogger(__name__)

_LAST_WORDS_S = 1.0

Answer = rpc.Response | rpc.Error


class CannotConnect(Exception):
    """No session came about; the reason is for an operator. Nothing of any call was sent."""


async def open_line(
    open_link: Callable[[], Awaitable[Link]],
    *,
    client: JSON,
    noted: Noted,
    start_timeout_s: float = 30.0,
    patience_s: float = 5.0,
    max_deadline_s: float = 600.0,
    limits: rpc.Limits = rpc.json.DEFAULT_LIMITS,
    probes: bool = True,
    respondent: Respondent = NOBODY,
) -> LineSession:
    """A session over a new link of `open_link`. Raises CannotConnect; then no link is left open.

    Without `probes` the server is known to be of the handshake era. `respondent` is asked what one of that era asks.
    """
    envelope = stateless.Envelope(client, respondent.stateless, respondent.extensions)
    deadline_s = asyncio.get_running_loop().time() + start_timeout_s
    for probe in (True, False) if probes else (False,):
        session = LineSession(
            await open_link(), noted=noted, max_deadline_s=max_deadline_s, limits=limits, respondent=respondent
        )
        hello = handshake.initialize_params(client, respondent.declared)
        try:
            welcome = await _greet(session, hello, envelope, probe, patience_s, deadline_s)
            session.settle(welcome, envelope)
            if welcome.era is Era.HANDSHAKE:
                session.tell("notifications/initialized", {})
            return session
        except _DiedOnProbe as exc:
            logger.info("the server died on server/discover (%s); starting it again with initialize", exc)
            await session.aclose()
        except LinkClosed as exc:
            try:
                why = await _why_ended(session, exc)
            finally:
                await session.aclose()
            raise CannotConnect(f"ended before it was ready: {why}") from exc
        except TimeoutError:
            await session.aclose()
            raise CannotConnect(f"did not answer initialize within {start_timeout_s:g} s") from None
        except BaseException:
            await session.aclose()
            raise
    raise AssertionError("the second greeting does not probe")


class _DiedOnProbe(Exception):
    pass


async def _why_ended(session: LineSession, exc: LinkClosed) -> str:
    """How a process ended is known a moment later than that nothing can be sent to it."""
    done, _ = await asyncio.wait({session.ended}, timeout=_LAST_WORDS_S)
    return session.ended.result() if done else str(exc)


async def _greet(
    session: LineSession,
    hello_params: JSON,
    envelope: stateless.Envelope,
    probe: bool,
    patience_s: float,
    deadline_s: float,
) -> Welcome:
    if not probe:
        return welcome_of_initialize(await session.start("initialize", hello_params, deadline_s))
    discover = session.start("server/discover", {"_meta": envelope.own}, deadline_s)
    hello: asyncio.Future[Answer] | None = None
    try:
        done, _ = await asyncio.wait({discover}, timeout=patience_s)
        if not done:
            hello = session.start("initialize", hello_params, deadline_s)
            done, _ = await asyncio.wait({discover, hello}, return_when=asyncio.FIRST_COMPLETED)
        if discover in done:
            answer = discover.result()
            era = judge_answer(answer)
            if era is Era.STATELESS and isinstance(answer, rpc.Response):
                return welcome_of_discover(answer.result)
            if era is Era.STATELESS and refuses_revision(answer):
                # It names the one it was asked in: once more, then.
                answer = await session.start("server/discover", {"_meta": envelope.own}, deadline_s)
                if isinstance(answer, rpc.Response):
                    return welcome_of_discover(answer.result)
            if era is None:
                raise CannotConnect("speaks no revision of the protocol that is spoken here")
        return welcome_of_initialize(await (hello or session.start("initialize", hello_params, deadline_s)))
    except LinkClosed as exc:
        raise _DiedOnProbe(str(exc)) from exc


def refuses_revision(answer: Answer) -> bool:
    return isinstance(answer, rpc.Error) and answer.code == UNSUPPORTED_VERSION


def welcome_of_discover(result: JSON) -> Welcome:
    meta: object = result.get("_meta")
    server: object = meta.get("io.modelcontextprotocol/serverInfo") if is_object(meta) else None
    capabilities: object = result.get("capabilities")
    instructions: object = result.get("instructions")
    return Welcome(
        Era.STATELESS,
        MODERN,
        capabilities if is_object(capabilities) else {},
        server if is_object(server) else {},
        instructions if isinstance(instructions, str) else None,
    )


def welcome_of_initialize(answer: Answer) -> Welcome:
    """Raises CannotConnect when the handshake failed."""
    if isinstance(answer, rpc.Error):
        raise CannotConnect(f"refused initialize: {answer.message[:200]} ({answer.code})")
    assert isinstance(answer, rpc.Response)
    revision = handshake.read_welcome(answer.result)
    if revision is None:
        raise CannotConnect(
            f"speaks revision {str(answer.result.get('protocolVersion'))[:40]}, which is not spoken here"
        )
    capabilities: object = answer.result.get("capabilities")
    server: object = answer.result.get("serverInfo")
    instructions: object = answer.result.get("instructions")
    return Welcome(
        Era.HANDSHAKE,
        revision,
        capabilities if is_object(capabilities) else {},
        server if is_object(server) else {},
        instructions if isinstance(instructions, str) else None,
    )
