"""The keys of an issuer as they age, change, and cannot be read. The clock and the issuer are ours."""

import asyncio
import json
from typing import Any

import pytest
from issuer import Issuer, jwk, new_key

from douane.auth import jws
from douane.auth.jws import BadToken
from douane.auth.keys import Keys, Unreachable

AUDIENCE = "https://mcp.example.com/mcp"


class Source:
    """An issuer whose keys are read, and how often."""

    def __init__(self, stale_s: float = 3600) -> None:
        self.issuer, self.now_s, self.reads = Issuer(), 1000.0, 0
        self.document: Any = None
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.keys = Keys(self.read, lambda: self.now_s, stale_s=stale_s)

    async def read(self) -> bytes:
        self.reads += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return json.dumps(self.issuer.keys if self.document is None else self.document).encode()

    async def finds(self, token: str | None = None) -> bool:
        """Whether there is a key for it. Raises Unreachable."""
        signed = jws.read(token or self.issuer.token(AUDIENCE))
        try:
            jws.verify(signed, await self.keys.of(signed))
        except BadToken:
            return False
        return True


async def test_keys_are_read_once_for_many_and_again_when_a_token_names_another() -> None:
    source = Source()
    source.gate = asyncio.Event()
    asked = [asyncio.create_task(source.finds()) for _ in range(20)]
    await asyncio.sleep(0)
    source.gate.set()
    assert (await asyncio.gather(*asked), source.reads) == ([True] * 20, 1)
    source.issuer.rotate("k2")
    # Half a minute must have passed since the last time.
    assert (await source.finds(), source.reads) == (False, 1)
    source.now_s += 31
    assert (await source.finds(), source.reads) == (True, 2)


async def test_a_key_that_was_withdrawn_is_good_for_five_minutes_at_most() -> None:
    source = Source()
    old = source.issuer.token(AUDIENCE)
    assert await source.finds(old)
    source.issuer.rotate("k2")
    source.now_s += 299
    assert await source.finds(old)
    source.now_s += 2
    assert not await source.finds(old)


@pytest.mark.parametrize("stale_s", [0.0, 60.0])
async def test_keys_that_may_not_become_stale_are_good_while_they_are_fresh_and_then_read_again(stale_s: float) -> None:
    source = Source(stale_s)
    assert await source.finds()
    source.now_s += 299
    assert (await source.finds(), source.reads) == (True, 1)
    source.now_s += 2
    assert (await source.finds(), source.reads) == (True, 2)
    source.fault = OSError("refused")
    source.now_s += 301
    with pytest.raises(Unreachable):
        await source.finds()


@pytest.mark.parametrize("fault", [OSError("refused"), TimeoutError(), Unreachable("404")])
async def test_keys_stay_good_for_a_while_when_they_cannot_be_read_and_the_issuer_is_asked_sparingly(
    fault: Exception,
) -> None:
    source = Source()
    assert await source.finds()
    source.fault = fault
    for _ in range(10):
        source.now_s += 301
        assert await source.finds()
        assert await source.finds()
    assert source.reads == 11
    source.now_s += 700
    with pytest.raises(Unreachable):
        await source.finds()
    source.fault = None
    source.now_s += 31
    assert await source.finds()


@pytest.mark.parametrize(
    "document",
    [[], {}, {"keys": "x"}, {"keys": [{}] * 101}, "keys"],
    ids=["list", "empty", "text", "many", "string"],
)
async def test_what_is_no_set_of_keys_is_not_taken_for_one(document: Any) -> None:
    source = Source()
    source.document = document
    with pytest.raises(Unreachable):
        await source.finds()


def _changed(**members: Any) -> dict[str, Any]:
    return {**jwk(new_key("RS256"), "RS256", "k1"), **members}


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"},
        _changed(use="enc"),
        _changed(key_ops=["encrypt"]),
        _changed(d="AQAB"),
        _changed(n="AQAB"),
        _changed(kid=7),
        _changed(kty=["RSA"]),
        {"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"},
        {"kty": "EC", "crv": "secp256k1", "x": "AQAB", "y": "AQAB"},
        {"kty": "RSA"},
        "RSA",
        None,
    ],
    ids=[
        "shared",
        "encryption",
        "operations",
        "private",
        "short",
        "id",
        "kind",
        "point",
        "curve",
        "bare",
        "text",
        "null",
    ],
)
def test_a_key_that_is_of_no_use_for_signatures_is_left_out(key: object) -> None:
    assert jws.public_key(key) is None


async def test_a_token_without_a_key_id_is_taken_only_where_one_key_can_be_meant() -> None:
    source = Source()
    bare = source.issuer.token(AUDIENCE, {"kid": None})
    assert await source.finds(bare)
    other = jwk(new_key("ES256"), "ES256", "k2")
    source.document = {"keys": [*source.issuer.keys["keys"], other]}
    source.now_s += 301
    assert not await source.finds(bare)
