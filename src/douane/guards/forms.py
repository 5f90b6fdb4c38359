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
_ALONE = frozenset(("password", "passwd", "passphrase", "passcode", "secret", "cvv", "cvc", "ssn", "otp"))
_TOGETHER = frozenset(
    (
        *((first, "key") for first in ("api", "private", "secret", "access", "encryption", "ssh")),
        *((first, "token") for first in ("access", "auth", "api", "bearer", "refresh", "session", "id")),
        ("card", "number"),
        ("pin", "code"),
        ("social", "security"),
        ("credit", "card"),
    )
)


def secret_field(schema: Mapping[str, Any]) -> str | None:
    """The name of the first text field of a form that asks for a secret, or None."""
    fields: object = schema.get("properties")
    if not is_object(fields):
        return None
    for name, field in fields.items():
        if is_object(field) and field.get("type", "string") == "string" and "enum" not in field:
            said = (name, str(field.get("title", "")))
            if any(_is_secret([word.lower() for word in _WORDS.findall(words)]) for words in said):
                return name
    return None


def _is_secret(words: list[str]) -> bool:
    return not _ALONE.isdisjoint(words) or any(pair in _TOGETHER for pair in pairwise(words))
