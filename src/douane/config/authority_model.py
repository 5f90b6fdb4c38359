"""What may stand below `auth.authority:` in `douane.yaml`: the gateway as its own authorization server."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["AuthorityConfig", "ClientConfig", "ProviderConfig"]

Minutes = Annotated[float, Meta(gt=0, le=60, description="Minutes, at most an hour.")]
Hours = Annotated[float, Meta(gt=0, le=168, description="Hours, at most a week.")]
Days = Annotated[float, Meta(gt=0, le=365, description="Days, at most a year.")]


class ClientConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client that the operator has set up."""

    name: str = ""
    """As people are shown it. Unset: its id."""
    redirect_uris: tuple[str, ...] = ()
    """https, or http on this machine, of which the port is free. None: it logs in as a device, or only asks about tokens."""
    secret: str | None = None
    """From a variable: ${NAME}. Unset: it has none, like every program on a person's own computer."""


class ProviderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenID Connect provider that people may log in with instead of a password."""

    issuer: str = ""
    """As it writes it, to the letter."""
    title: str = ""
    """On the button. Unset: the name of this section."""
    client_id: str = ""
    client_secret: str | None = None
    """From a variable: ${NAME}."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    subject: str = "sub"
    """The claim that says who it is: unique and never given to somebody else; a mail address is neither everywhere."""
    groups: str = "groups"
    tenant: str = ""
    """Unset: all are of the tenant `default`."""
    prefix: str | None = None
    """Before its subjects and groups. Unset: the name of this section and a colon, so that nobody of theirs is one of ours."""
    reach: Literal["public", "private", "loopback"] | None = None
    """What its name may resolve to. Unset: public, but what a literal address or `localhost` itself says."""


class AuthorityConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    registration: bool = True
    """Let clients register themselves (RFC 7591): most still know no other way. Each is shown to a person before it gets
    anything, and is gone in an hour unless one agrees."""
    documents: Literal["ask", "refuse"] = "ask"
    """Of clients whose id is the address of their description: ask a person, or take those of `trusted_hosts` only."""
    trusted_hosts: tuple[str, ...] = ()
    """Whose descriptions are shown as trusted, exactly as they stand in the address: claude.ai, or client.dev:8443."""
    documents_reach: Literal["public", "private", "loopback"] = "public"
    """Where descriptions are fetched from. Whoever can send a person here can have one fetched."""
    clients: dict[str, ClientConfig] = {}
    providers: dict[str, ProviderConfig] = {}
    scopes: dict[str, str] = {}
    """The words that people read for each scope of `auth.scopes`, and what else there is to ask for."""
    access_minutes: Minutes = 10.0
    """How long an access token is good for by itself; one that was revoked is refused within seconds."""
    refresh_days: Days = 30.0
    """How long a program may stay away before a person has to log in again."""
    session_hours: Hours = 8.0
    """How long a browser stays logged in: a working day."""
