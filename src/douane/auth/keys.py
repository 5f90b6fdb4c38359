"""The public keys of an issuer: read when first needed, kept, and read again as they age or when a token names another.

A token that names a key nobody has costs one question in half a minute, whoever sends how many. While the issuer cannot be
reached, the keys it had are good for as long as the operator says. Spec: RFC 7517; OpenID Connect Core §10.1.1 (rotation).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from ..wire import json
from .jws import BadToken, Key, Signed, public_key

__all__ = ["MAX_KEYS_BYTES", "Keys", "Unreachable"]

logger = logging.getLogger(__name__)

MAX_KEYS_BYTES = 512 * 1024
_MAX_KEYS = 100
"""The largest sets in use have some twenty."""
_LIMITS = json.Limits(max_bytes=MAX_KEYS_BYTES, max_depth=8, max_keys=10_000)
_FRESH_S = 300.0
"""A key that was withdrawn is good for no longer."""
_AGAIN_S = 30.0


class Unreachable(Exception):
    """Nobody can say whether a token holds. The text is for the log and the operator."""


class Keys:
    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        clock: Callable[[], float],
        *,
        stale_s: float,
        fresh_s: float = _FRESH_S,
        again_s: float = _AGAIN_S,
    ) -> None:
        """`read` fetches the set, within bounds of its own; raises OSError, TimeoutError, Unreachable. `clock` is
        monotonic. `stale_s`: how old keys may become while it fails; below `fresh_s` it does not count, since nobody has asked."""
        self._read, self._clock = read, clock
        self._fresh_s, self._stale_s, self._again_s = fresh_s, max(stale_s, fresh_s), again_s
        self._keys: Sequence[Key] = ()
        self._read_at_s = self._tried_at_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def of(self, token: Signed) -> Key:
        """The key that `token` is to be verified with. Raises BadToken, Unreachable."""
        key = self._find(token) if self._age_s <= self._fresh_s else None
        if key is None and self._clock() - self._tried_at_s >= self._again_s:
            await self._again()
            key = self._find(token)
        elif key is None and self._reading is not None:
            await asyncio.shield(self._reading)
            key = self._find(token)
        elif key is None and self._age_s <= self._stale_s:
            key = self._find(token)
        if self._age_s > self._stale_s:
            raise Unreachable("the keys of the issuer cannot be read")
        if key is None:
            raise BadToken("it is signed with a key that its issuer does not have")
        return key

    @property
    def _age_s(self) -> float:
        return self._clock() - self._read_at_s

    def _find(self, token: Signed) -> Key | None:
        fitting = [key for key in self._keys if key.fits(token.algorithm)]
        if token.key_id is not None:
            return next((key for key in fitting if key.id == token.key_id), None)
        # Without a name it must be the only one that can be meant.
        return fitting[0] if len(fitting) == 1 else None

    async def _again(self) -> None:
        if self._reading is None:
            self._tried_at_s = self._clock()
            self._reading = asyncio.get_running_loop().create_task(self._fetch())
        # Who gives up waiting does not keep the others from it.
        await asyncio.shield(self._reading)

    async def _fetch(self) -> None:
        try:
            self._keys = _keys(await self._read())
            self._read_at_s = self._clock()
        except (OSError, TimeoutError, Unreachable) as exc:
            logger.warning("the keys of an issuer cannot be read: %s", exc)
        finally:
            self._reading = None


def _keys(body: bytes) -> Sequence[Key]:
    try:
        document = json.decode(body, _LIMITS)
    except json.FrameError as exc:
        raise Unreachable(f"the set of keys is no JSON: {exc}") from None
    listed = document.get("keys") if json.is_object(document) else None
    if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
        raise Unreachable("the set of keys has no list of keys, or too many")
    return [key for key in map(public_key, listed) if key is not None]
