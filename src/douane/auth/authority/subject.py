"""Who logged in, as tokens say it."""

import msgspec

__all__ = ["Subject"]


class Subject(msgspec.Struct, frozen=True):
    name: str
    groups: tuple[str, ...] = ()
    tenant: str = "default"
    provider: str = ""
    """The issuer of an outside provider who says so; empty: it is a user of ours."""
