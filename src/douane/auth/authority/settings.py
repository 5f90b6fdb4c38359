"""What an authorization server is told when it is made. Times are seconds, each with its reason beside it."""

from collections.abc import Mapping

import msgspec

__all__ = ["OWNER", "Settings"]

OWNER = "owner"
"""Whom the token of the first start belongs to; no local user may have this name."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    issuer: str
    """Where clients reach it, without a slash at the end; compared as it is, never normalised."""
    resources: tuple[str, ...]
    """What tokens are for: URIs of this gateway's endpoints, the whole first. Compared as they are."""
    scopes: Mapping[str, str]
    """Each with the words that people read on the page of consent."""
    default_scopes: tuple[str, ...] = ()
    """Of a client that asks for none. Empty: all of `scopes`."""
    registration: bool = True
    """Let unknown clients register themselves (RFC 7591)."""
    code_s: float = 60.0
    """A code goes from one redirect to one request; OAuth 2.1 recommends ten minutes at most."""
    access_s: float = 600.0
    """A stolen access token is good for no longer, whatever else fails."""
    refresh_s: float = 30 * 86_400.0
    """Since it was last used: a laptop that was on a shelf for a month logs in again."""
    grant_s: float = 180 * 86_400.0
    """However often it is used: twice a year a person is asked again."""
    session_s: float = 8 * 3600.0
    """A working day in the browser."""
    form_s: float = 600.0
    """For reading a page and deciding."""
    device_s: float = 600.0
    """For reaching a browser and typing a code."""
    device_interval_s: float = 5.0
    """Between two polls. Spec: RFC 8628 §3.2."""

    @property
    def secure(self) -> bool:
        """Browsers reach it over TLS."""
        return self.issuer.startswith("https://")

    @property
    def asked_scopes(self) -> tuple[str, ...]:
        return self.default_scopes or tuple(self.scopes)

    def url(self, path: str) -> str:
        return self.issuer + path
