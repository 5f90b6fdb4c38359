"""What may stand below `auth:` in `douane.yaml`: whom the gateway lets in, and by what."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .authority_model import AuthorityConfig

__all__ = ["Auth", "Claims", "Introspection", "IssuerConfig", "ProxyCertificates", "Scopes"]

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which claims of a token say what. A name with dots also leads into objects: realm_access.roles."""

    subject: str = "sub"
    """Unique and never given to somebody else (RFC 9068); a mail address is neither everywhere."""
    groups: str = "groups"
    """Of Okta, Entra, Keycloak and others where they are told to send it; no standard names it."""
    tenant: str = ""
    """Unset: all are of `tenant`."""
    client: tuple[str, ...] = ("client_id", "azp")
    """The first that is there: RFC 9068, and what OpenID Connect servers send."""
    scopes: tuple[str, ...] = ("scope", "scp")
    """Both: RFC 9068, and what Entra and Okta send."""


class Introspection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For tokens that only their issuer can read (RFC 7662)."""

    client_id: str = ""
    """Ours, at the issuer."""
    client_secret: str = ""
    """From a variable: ${NAME}."""
    endpoint: str | None = None
    """Unset: as the issuer's metadata say."""
    keep_s: Annotated[float, Meta(gt=0, le=300)] = 30.0
    """How long an answer is believed: as long as a token that was withdrawn is still good."""


class IssuerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An identity provider whose tokens are taken."""

    issuer: str = ""
    """As its tokens write it, to the letter: a slash at the end is another issuer (RFC 8414 §2)."""
    jwks_uri: str | None = None
    """Where its keys are. Unset, with `jwks_file` unset: as its metadata say."""
    jwks_file: str | None = None
    """Its keys in a file, relative to this one; read again when it changes. For issuers that cannot be reached."""
    audience: tuple[str, ...] = ()
    """What its tokens for this gateway have as audience. Unset: the URL of the endpoint, which is what clients of MCP ask
    for (RFC 8707); then a token for one endpoint is no good at another."""
    algorithms: tuple[Algorithm, ...] = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
    """What issuers sign with; each key is used for its own alone."""
    clients: tuple[str, ...] = ()
    """Whose tokens are taken. Unset: those of every client, since the audience already says for whom they are."""
    claims: Claims = Claims()
    tenant: str = "default"
    prefix: str = ""
    """Before its subjects and groups. Needed as soon as anybody comes from elsewhere, too: `sub` is unique within one only."""
    stale_s: Annotated[float, Meta(ge=0, le=604_800)] = 3_600.0
    """How old its keys may become while it cannot be reached: an hour is most outages, and a stolen key is not good for ever."""
    reach: Literal["public", "private", "loopback"] | None = None
    """What its name may resolve to. Unset: public, but what a literal address or `localhost` itself says."""
    introspection: Introspection | None = None


class ProxyCertificates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Client certificates that a TLS proxy in front has verified, and tells of in a header."""

    proxies: tuple[str, ...] = ()
    """Addresses or networks of the proxies. The header of anybody else is not looked at."""
    header: str = "client-cert"
    """RFC 9440. Envoy's and nginx's own forms (URL-encoded PEM) are read as well, under whatever name."""
    subjects: bool = False
    """Whether a certificate alone lets its holder in, as the subject that it names. Without, it only proves that a token
    that is bound to one came from its holder (RFC 8705)."""
    name: Literal["uri", "email", "dns", "common_name"] = "uri"
    """Which of its names is the subject: SPIFFE and most meshes use a URI."""
    prefix: str = "cert:"
    """Before the subject, so that no name in a certificate is that of somebody else."""


class Scopes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token has to be good for. Unset: its issuer's scopes are not asked for."""

    read: tuple[str, ...] = ()
    """For what is marked as reading, and to list and listen."""
    write: tuple[str, ...] = ()
    """For all else. Whoever has these may read, too."""


class Auth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    authority: AuthorityConfig | None = None
    """The gateway as its own authorization server, for a laptop or a small team. `{}` turns it on."""
    issuers: dict[str, IssuerConfig] = {}
    api_keys: bool = False
    """Whether keys that `douane key create` makes let somebody in: for programs that cannot log in."""
    proxy_certificates: ProxyCertificates | None = None
    scopes: Scopes = Scopes()
    first_token: bool | None = None
    """Whether the token of the first start lets its owner in. Unset: on loopback only; elsewhere one token for one person
    is no protection."""
