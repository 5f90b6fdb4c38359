"""A client as it is known here, however it came to be known."""

from typing import Any, Literal

import msgspec

__all__ = ["Client", "Known", "NotTheClient", "NotUsable", "shown_name"]

Known = Literal["configured", "document", "registered"]
_MAX_NAME = 80


class NotUsable(Exception):
    """There is no such client, or its description cannot be used; the text is for whoever is sent here.

    `passes`: it may be there in a moment.
    """

    def __init__(self, reason: str, *, passes: bool = False) -> None:
        super().__init__(reason)
        self.passes = passes


class NotTheClient(Exception):
    """The client did not show that it is the one.

    `basic`: it tried by the header, so it is answered by one. `passes`: it may try again in a moment.
    """

    def __init__(self, reason: str, *, basic: bool = False, passes: bool = False) -> None:
        super().__init__(reason)
        self.basic, self.passes = basic, passes


class Client(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    redirect_uris: tuple[str, ...]
    known: Known
    """The operator wrote it down; it is the document at its id; or it has registered itself, and nobody vouches for it."""
    authenticates: str = "none"
    """none, client_secret_basic, client_secret_post or private_key_jwt."""
    secret_digest: str = ""
    jwks: dict[str, Any] | None = None
    refreshes: bool = True
    uri: str = ""
    trusted: bool = False
    """The operator vouches for it, or for the host of its document."""


def shown_name(name: str, otherwise: str) -> str:
    """A name that a client gave itself, as people can be shown it: short, on one line, and nothing that turns the text."""
    plain = "".join(char for char in name if char.isprintable()).strip()
    return plain[:_MAX_NAME] or otherwise
