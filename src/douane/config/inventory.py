"""What is told of who has access: plain values, for a terminal, a program, a page. And the part of it that somebody asked for."""

import msgspec

from .given import Given

__all__ = ["Access", "Inventory", "Looked", "May", "narrowed"]


class May(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that may be called. What may not is not named."""

    server: str
    name: str
    """As the gateway shows it."""
    method: str
    may: str
    """`yes`, or `depends`: on the arguments, or on when and how."""
    rule: str
    """Which permits it; empty where it depends."""
    last: str = ""
    """When it was last called; RFC 3339, UTC, or empty."""
    calls: int = 0


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What one principal has."""

    kind: str
    """`user`, `group`, or `anybody`: whoever is let in."""
    subject: str
    tenant: str = "default"
    client: str = ""
    """By which it calls; empty: by any, and by none."""
    groups: tuple[str, ...] = ()
    groups_known: bool = True
    """Without: groups come with a token, and the audit does not keep them."""
    known_by: tuple[str, ...] = ()
    revoked: str = ""
    """The rule by which."""
    last: str = ""
    calls: int = 0
    refused: int = 0
    may: tuple[May, ...] = ()
    given: tuple[Given, ...] = ()


class Looked(msgspec.Struct, frozen=True):
    """What of the audit was looked at. `left_out`: entries for which there was no room."""

    first: int
    end: int
    since: str
    left_out: int


class Inventory(msgspec.Struct, frozen=True):
    catalog: str
    """`gateway`: what the running gateway lists; `audit`: no gateway runs, so what was called before."""
    looked: Looked | None
    """None: there is no audit yet."""
    principals: list[Access]
    offers: int
    shared: list[Given]
    """What was given to nobody in particular."""


def narrowed(
    found: Inventory,
    *,
    user: str | None = None,
    server: str | None = None,
    tool: str | None = None,
    unused_since: str | None = None,
) -> Inventory:
    """Only what concerns these: a subject, a server of the configuration, a thing as the gateway shows it.

    `unused_since`: RFC 3339, UTC; only who has not used it from then on, as far as was looked.
    """

    def of(one: Access) -> Access | None:
        if user is not None and (one.kind, one.subject) != ("user", user):
            return None
        if unused_since is not None and one.kind != "user":
            return None
        if server is not None or tool is not None:
            may = tuple(may for may in one.may if server in (None, may.server) and tool in (None, may.name))
            one = msgspec.structs.replace(one, may=may, last=max((may.last for may in may), default=""))
            if not may:
                return None
        return one if unused_since is None or one.last < unused_since else None

    principals = [one for one in map(of, found.principals) if one is not None]
    shared = [] if user is not None else found.shared
    return msgspec.structs.replace(found, principals=principals, shared=shared)
