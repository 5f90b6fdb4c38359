"""Tokens that only their issuer can read: it is asked about each, and its answer is believed for a moment.

A token is sent to the one issuer that may know it; what is plainly somebody else's is not. Spec: RFC 7662.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from msgspec.structs import replace

from ..wire import json
from . import api_keys, first_token, jws
from .exchange import Fetch, HttpRequest
from .jwt import JwtSource
from .verified import BadToken, Unreachable, Verified

__all__ = ["MAX_ANSWER_BYTES", "IntrospectionSource"]

MAX_ANSWER_BYTES = 64 * 1024
_LIMITS = json.Limits(max_bytes=MAX_ANSWER_BYTES, max_depth=16, max_keys=2_000)
_OURS = (api_keys.PREFIX, first_token.PREFIX)


class IntrospectionSource:
    """A `Source`. Put it last: it takes what nobody else does."""

    asks = True

    def __init__(
        self,
        issuer: str,
        endpoint: Callable[[], Awaitable[str]],
        fetch: Fetch,
        client: tuple[str, str],
        claims: JwtSource,
        *,
        keep_s: float,
        now: Callable[[], float],
    ) -> None:
        """`client`: our id and secret at the issuer. `claims` judges what it says, as if it had signed it."""
        self._issuer, self._endpoint, self._fetch, self._claims = issuer, endpoint, fetch, claims
        self._keep_s, self._now = keep_s, now
        # Spec: RFC 6749 §2.3.1, both are encoded before they are joined.
        pair = ":".join(map(quote_plus, client)).encode()
        self._authorization = f"Basic {base64.b64encode(pair).decode()}"

    def takes(self, token: str) -> bool:
        if token.startswith(_OURS):
            return False
        try:
            issuer = jws.read(token).claims.get("iss", self._issuer)
        except BadToken:
            return True
        return issuer == self._issuer

    async def verify(self, token: str) -> Verified:
        said = await self._said(token)
        if said.get("active") is not True:
            raise BadToken("its issuer says that it is not good, or not good any more")
        until_s = self._now() + self._keep_s
        found = self._claims.accepted({"iss": self._issuer, "exp": until_s, **said})
        return replace(found, until_s=min(found.until_s, until_s))

    async def _said(self, token: str) -> Mapping[str, Any]:
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
            "authorization": self._authorization,
        }
        form = urlencode({"token": token, "token_type_hint": "access_token"}).encode()
        try:
            answer = await self._fetch(HttpRequest("POST", await self._endpoint(), headers, form))
        except (OSError, TimeoutError) as exc:
            raise Unreachable(f"{self._issuer} cannot be asked about a token: {exc}") from None
        if answer.status != 200:
            raise Unreachable(f"{self._issuer} answers {answer.status} when it is asked about a token")
        try:
            said = json.decode(answer.body, _LIMITS)
        except json.FrameError as exc:
            raise Unreachable(f"{self._issuer} answers no JSON about a token: {exc}") from None
        if not json.is_object(said):
            raise Unreachable(f"{self._issuer} answers no object about a token")
        return said
