"""Passkeys: a person shows that he has a device, and the device that it is he, and nothing is typed that could be typed elsewhere.

The challenge is the form that the answer comes back in, so it counts once and in one browser. No attestation is asked for: whose
make a device is does not matter here. Spec: W3C Web Authentication Level 3 §7.1, §7.2.
"""

import base64
import hashlib
import ipaddress
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ...stores.ports import Conflict, Records
from .settings import Settings
from .stored import Held, Shelf, digest

__all__ = ["NoPasskey", "Passkey", "Passkeys", "possible"]

_MAX_OF_ONE = 10
_MAX_CHARS = 8192
_NAME = "Douane"


class NoPasskey(Exception):
    """What came back is no passkey of this place; the text is for a person."""


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    user: str
    id: bytes
    public_key: bytes
    signs: int
    since_s: float
    used_s: float


def possible(settings: Settings) -> bool:
    """Browsers have passkeys for names only, never for the address 127.0.0.1, and only where nobody can listen."""
    host = urlsplit(settings.issuer).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return settings.secure or host == "localhost"
    return False


class Passkeys:
    def __init__(self, records: Records, settings: Settings, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._shelf, self._clock = Shelf(records, "passkey", Passkey), clock
        self._handles = Shelf(records, "passkey_user", bytes)
        self._origin, self._place = settings.issuer, urlsplit(settings.issuer).hostname or ""

    def asked(self, form: str) -> str:
        """What the browser is asked for, in JSON, to log somebody in by the form of this token."""
        options = webauthn.generate_authentication_options(
            rp_id=self._place, challenge=_challenge(form), user_verification=UserVerificationRequirement.REQUIRED
        )
        return webauthn.options_to_json(options)

    async def to_make(self, user: str, form: str) -> str:
        """What the browser is asked for, in JSON, to make one for `user`. Raises StoreFailed."""
        options = webauthn.generate_registration_options(
            rp_id=self._place,
            rp_name=_NAME,
            user_name=user,
            user_id=await self._handle(user),
            challenge=_challenge(form),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=held.value.id) for held in await self.of(user)],
        )
        return webauthn.options_to_json(options)

    async def add(self, user: str, form: str, credential: str) -> None:
        """Raises NoPasskey, StoreFailed."""
        if len(await self.of(user)) >= _MAX_OF_ONE:
            raise NoPasskey(f"Nobody has more than {_MAX_OF_ONE} passkeys here; remove one first.")
        try:
            made = webauthn.verify_registration_response(
                credential=_sound(credential),
                expected_challenge=_challenge(form),
                expected_rp_id=self._place,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError):
            raise NoPasskey("What the browser sent is not a passkey for this place.") from None
        now_s = self._clock()
        passkey = Passkey(
            user=user,
            id=made.credential_id,
            public_key=made.credential_public_key,
            signs=made.sign_count,
            since_s=now_s,
            used_s=now_s,
        )
        try:
            await self._shelf.add(_key(made.credential_id), passkey)
        except Conflict:
            raise NoPasskey("This passkey is known here already.") from None

    async def user_of(self, form: str, credential: str) -> str:
        """Whose passkey it is. Raises NoPasskey, StoreFailed."""
        try:
            id_ = webauthn.base64url_to_bytes(str(msgspec.json.decode(_sound(credential))["id"]))
        except (ValueError, KeyError, TypeError):
            raise NoPasskey("What the browser sent is not a passkey.") from None
        held = await self._shelf.get(_key(id_))
        if held is None:
            raise NoPasskey("This passkey is not known here; it may have been removed.")
        try:
            shown = webauthn.verify_authentication_response(
                credential=credential,
                expected_challenge=_challenge(form),
                expected_rp_id=self._place,
                expected_origin=self._origin,
                credential_public_key=held.value.public_key,
                credential_current_sign_count=held.value.signs,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError):
            raise NoPasskey("What the browser sent does not show that it has this passkey.") from None
        await self._used(held, shown.new_sign_count)
        return held.value.user

    async def of(self, user: str) -> list[Held[Passkey]]:
        """Raises StoreFailed."""
        return [held for held in await self._shelf.all() if held.value.user == user]

    async def remove(self, user: str, key: str) -> bool:
        """Whether `user` had it. Raises StoreFailed."""
        held = await self._shelf.get(key)
        return held is not None and held.value.user == user and await self._shelf.remove(key)

    async def _used(self, held: Held[Passkey], signs: int) -> None:
        used = msgspec.structs.replace(held.value, signs=signs, used_s=self._clock())
        try:
            await self._shelf.change(held, used)
        except Conflict:
            raise NoPasskey("This passkey was used twice at once; try again.") from None

    async def _handle(self, user: str) -> bytes:
        """What devices know a user by: no name, so that it tells nothing."""
        held = await self._handles.get(user)
        if held is not None:
            return held.value
        handle = secrets.token_bytes(32)
        try:
            await self._handles.add(user, handle)
        except Conflict:
            return await self._handle(user)
        return handle


def _challenge(form: str) -> bytes:
    return hashlib.sha256(form.encode()).digest()


def _key(id_: bytes) -> str:
    return digest(base64.b64encode(id_).decode())


def _sound(credential: str) -> str:
    if len(credential) > _MAX_CHARS:
        raise ValueError("too long")
    return credential
