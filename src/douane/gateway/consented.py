"""Calls of an upstream for which its users have to grant something first: who has not is sent to a page, and the call goes on.

What was asked for is not sent before that, and nothing is sent twice. A caller that knows rounds comes back with a state of
ours, and waits here; one of the handshake era is asked, and waits likewise. Who can be shown no page gets the link as text.
"""

import logging
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from ..auth.connect.tickets import Tickets
from ..auth.grants import Owner
from ..auth.seal import Broken, Seal
from ..auth.user_grants import UserGrants
from ..flow.chain import Emit, Handler
from ..protocol.call import Call, Principal
from ..protocol.outcome import Complete, Failed, InputRequired, Outcome, Refused
from ..protocol.questions import ELICIT, undeclared
from ..stores.ports import StoreError
from ..wire.codes import INTERNAL_ERROR, INVALID_PARAMS, MISSING_CAPABILITY

__all__ = ["Consented", "owner_of"]

logger = logging.getLogger(__name__)

_KEY = "login"
"""Of the question."""
_MARK = "connect."
_WAIT_S = 20.0
"""Of one round: clients and proxies give up on a request after half a minute, and few come back more than ten times."""
_LOOK_EVERY_S = 2.0
"""For what another process was told."""
_LEFT_S = 2.0
"""What is left of the time of a call for the call itself."""


class Consented:
    """A `Handler` before the one of an upstream."""

    def __init__(
        self,
        handler: Handler,
        grants: UserGrants,
        tickets: Tickets,
        link_to: Callable[[str], str],
        seal: Seal,
        clock: Callable[[], float],
        *,
        entry: Callable[[], str | None],
        listed: Callable[[float], Awaitable[None]],
    ) -> None:
        """`link_to`: the URL of a link, by its secret. `seal`: of what callers keep for us meanwhile. `clock`: the loop's.
        `entry`: the own name of the tool by which one logs in, where there is one; nobody else serves it. `listed` waits
        until it was tried to read what there is after that, at most so long."""
        self._entry, self._listed = entry, listed
        self._handler, self._grants, self._tickets, self._link_to = handler, grants, tickets, link_to
        self._seal, self._clock, self._upstream = seal, clock, grants.upstream
        self._purpose = f"connect {self._upstream}"

    async def __call__(self, call: Call, emit: Emit) -> Outcome:
        try:
            return await self._consented(call, emit)
        except StoreError:
            logger.exception("upstream %s: it cannot be told what was granted (call %s)", self._upstream, call.id)
            said = f"gateway: it cannot be told what you have granted, so nothing was sent (call {call.id})"
            return Failed(INTERNAL_ERROR, said, "no")

    async def _consented(self, call: Call, emit: Emit) -> Outcome:
        key = self._waited_for(call)
        if key is not None:
            instead = await self._waited(call, key)
            if instead is not None:
                return instead
            call = replace(call, state=None, answers={})
        scopes = await self._lacks(call)
        if scopes is not None:
            return await self._ask(call, scopes)
        if call.method == "tools/call" and call.name == self._entry():
            await self._listed(_WAIT_S)
            said = f"The gateway may use {self._upstream} for you. List the tools again to see what it offers."
            return Complete({"content": [{"type": "text", "text": said}]})
        outcome = await self._handler(call, emit)
        if isinstance(outcome, Failed) and outcome.sent == "no":
            # What was granted may have been refused: then there is something to ask for.
            scopes = await self._lacks(call)
            if scopes is not None:
                return await self._ask(call, scopes)
        return outcome

    async def _ask(self, call: Call, scopes: frozenset[str]) -> Outcome:
        who = call.principal
        secret, ticket = await self._tickets.give(owner_of(who), who.client, self._upstream, scopes)
        url = self._link_to(secret)
        said = f"To go on, allow the gateway to use {self._upstream} for you, on a page of the gateway."
        question = {"method": ELICIT, "params": {"mode": "url", "message": said, "url": url}}
        missing = undeclared([question], call.capabilities)
        if missing is None:
            state = _MARK + self._seal.close(self._purpose, ticket.key.encode())
            return InputRequired({_KEY: question}, state)
        text = f"{said} Open {url} in a browser, and then call again. Nothing was sent to {self._upstream}."
        if call.method == "tools/call":
            return Complete({"content": [{"type": "text", "text": text}], "isError": True})
        return Refused(MISSING_CAPABILITY, f"client: {text}", {"requiredCapabilities": missing})

    def _waited_for(self, call: Call) -> str | None:
        """The key of the link that the caller was given before, if it is that what it comes back with."""
        if call.state is None or not call.state.startswith(_MARK):
            return None
        try:
            return self._seal.open(self._purpose, call.state.removeprefix(_MARK)).decode()
        except Broken:
            # The upstream's own.
            return None

    async def _waited(self, call: Call, key: str) -> Outcome | None:
        """None: it was granted."""
        answer: object = call.answers.get(_KEY)
        action: object = answer.get("action") if isinstance(answer, dict) else None
        if action is not None and action != "accept":
            return self._declined()
        until_s = self._clock() + _WAIT_S
        if call.deadline_s is not None:
            until_s = min(until_s, call.deadline_s - _LEFT_S)
        while True:
            match await self._tickets.fate(key):
                case "granted":
                    return None
                case "declined":
                    return self._declined()
                case None:
                    said = f"client: nothing was granted in time, so nothing was sent to {self._upstream}; call again"
                    return Refused(INVALID_PARAMS, said)
                case "open":
                    pass
            left_s = until_s - self._clock()
            if left_s <= 0:
                # Come back: whoever reads and logs in needs longer.
                return InputRequired({}, call.state)
            await self._tickets.changed(key, min(left_s, _LOOK_EVERY_S))

    async def _lacks(self, call: Call) -> frozenset[str] | None:
        return await self._grants.lacks(owner_of(call.principal), call.principal.client)

    def _declined(self) -> Refused:
        said = f"client: it was declined to use {self._upstream}, so nothing was sent"
        return Refused(INVALID_PARAMS, said)


def owner_of(who: Principal) -> Owner:
    """Whose his grants are, whichever client he calls with."""
    return Owner(who.tenant, who.subject)
