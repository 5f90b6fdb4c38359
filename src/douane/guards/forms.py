"""Does a form ask for a secret? What is typed into one is seen by the client, and often by a model.

By the names of its fields, in words: `maxTokens` is none, `api_key` and `accessToken` are. A name can hide what it asks for,
so this is a guard against carelessness, not against malice.
Spec: specification/2026-07-28/client/elicitation.mdx (servers must not ask for sensitive information in a form).
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ..wire.json import is_object

__all__ = ["secret_field"]

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_OF_DIGITS: frozenset[str | tuple[str, str]] = frozenset(
    (
        *("passcode", "cvv", "cvc", "ssn", "otp"),
        *(("card", "number"), ("credit", "card"), ("pin", "code"), ("social", "security")),
    )
)
"""Secrets that fit into a field for a number."""
_OF_TEXT = _OF_DIGITS.union(
    ("password", "passwd", "passphrase", "secret"),
    ((first, "key") for first in ("api", "private", "secret", "access", "encryption", "ssh")),
    ((first, "token") for first in ("access", "auth", "api", "bearer", "refresh", "session", "id")),
)
_ASKED = {"string": _OF_TEXT, "number": _OF_DIGITS, "integer": _OF_DIGITS}


def secret_field(schema: Mapping[str, Any]) -> str | None:
    """The name of the first field of a form that asks for a secret, or None."""
    fields: object = schema.get("properties")
    if not is_object(fields):
        return None
    for name, field in fields.items():
        if is_object(field) and not isinstance(field.get("enum"), list):
            secrets = _ASKED.get(str(field.get("type", "string")), frozenset())
            if any(not secrets.isdisjoint(_words(said)) for said in (name, str(field.get("title", "")))):
                return name
    return None


def _words(said: str) -> set[str | tuple[str, str]]:
    """In lower case, and each with the next."""
    words = [word.lower() for word in _WORDS.findall(said)]
    return {*words, *pairwise(words)}
