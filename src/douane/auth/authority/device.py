"""A login for a program without a browser: it shows a code, and a person types that where there is one. Spec: RFC 8628."""

import re
import secrets
from collections.abc import Callable

import msgspec

from ...stores.ports import Conflict, Records
from .grants import Grant, Grants
from .settings import Settings
from .stored import Held, Shelf, digest

__all__ = ["Device", "Devices", "Pending", "typed"]

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; nothing that looks like another. Spec: RFC 8628 §6.1."""
_SLOWER_S = 5.0
_MAX_PENDING = 1000


class Pending(Exception):
    """No tokens, or not yet: a code of RFC 8628 §3.5, and words."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Device(msgspec.Struct, frozen=True, kw_only=True):
    user_code: str
    client: str
    scopes: tuple[str, ...]
    resource: str
    expires_s: float
    interval_s: float
    polled_s: float = 0.0
    grant: str = ""
    denied: bool = False


class Devices:
    def __init__(self, records: Records, grants: Grants, settings: Settings, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._grants, self._settings, self._clock = grants, settings, clock
        self._devices = Shelf(records, "device", Device)
        self._typed = Shelf(records, "device_code", str)

    async def begin(self, client: str, scopes: tuple[str, ...], resource: str) -> tuple[str, Device]:
        """A device code, and what a person is told. Raises Pending when too many wait, StoreFailed."""
        if len(await self._typed.all(most=_MAX_PENDING)) >= _MAX_PENDING:
            raise Pending("temporarily_unavailable", "too many logins wait; try again in a few minutes")
        device_code, letters = secrets.token_urlsafe(32), "".join(secrets.choice(_LETTERS) for _ in range(8))
        device = Device(
            user_code=f"{letters[:4]}-{letters[4:]}",
            client=client,
            scopes=scopes,
            resource=resource,
            expires_s=self._clock() + self._settings.device_s,
            interval_s=self._settings.device_interval_s,
        )
        await self._devices.add(digest(device_code), device, device.expires_s)
        await self._typed.add(letters, digest(device_code), device.expires_s)
        return device_code, device

    async def shown(self, user_code: str) -> Device | None:
        """What waits under a code that a person typed, undecided. Raises StoreFailed."""
        held = await self._held(user_code)
        return None if held is None else held.value

    async def decide(self, user_code: str, grant: Grant | None) -> bool:
        """`grant`: None denies. False: it does not wait any more. Raises StoreFailed."""
        if grant is not None:
            await self._grants.give(grant)
        while (held := await self._held(user_code)) is not None:
            decided = msgspec.structs.replace(held.value, grant="" if grant is None else grant.id, denied=grant is None)
            try:
                await self._devices.change(held, decided, held.expires_s)
            except Conflict:
                # It was polled meanwhile.
                continue
            await self._typed.remove(typed(user_code))
            return True
        return False

    async def poll(self, device_code: str, client: str, check: Callable[[str], None]) -> Grant:
        """The grant, once. `check` looks at the resource, and may raise. Raises Pending, Refused, StoreFailed."""
        key = digest(device_code)
        held = await self._devices.get(key)
        if held is None or held.value.client != client:
            raise Pending("expired_token", "this device code is not known here, or has expired")
        check(held.value.resource)
        await self._not_too_often(held)
        if held.value.denied:
            await self._devices.remove(key)
            raise Pending("access_denied", "the login was refused")
        if not held.value.grant:
            raise Pending("authorization_pending", "nobody has decided yet")
        if await self._devices.take(key) is None:
            raise Pending("slow_down", "the device polls twice at once")
        return await self._grants.begin(held.value.grant)

    async def _not_too_often(self, held: Held[Device]) -> None:
        device, now_s = held.value, self._clock()
        too_soon = now_s < device.polled_s + device.interval_s
        interval_s = device.interval_s + (_SLOWER_S if too_soon else 0.0)
        if device.grant and not too_soon:
            return
        try:
            polled = msgspec.structs.replace(device, polled_s=now_s, interval_s=interval_s)
            await self._devices.change(held, polled, held.expires_s)
        except Conflict:
            raise Pending("slow_down", "the device polls twice at once") from None
        if too_soon:
            raise Pending("slow_down", f"poll every {int(interval_s)} seconds")

    async def _held(self, user_code: str) -> Held[Device] | None:
        found = await self._typed.get(typed(user_code))
        held = None if found is None else await self._devices.get(found.value)
        return held if held is not None and not (held.value.denied or held.value.grant) else None


def typed(user_code: str) -> str:
    """A code as a person types it, as it is kept."""
    return re.sub(r"[^A-Z]", "", user_code[:32].upper())
