"""Tokens for a program that has no user before it: its own secret or key, the identity of its workload, or the identity
that the user of an enterprise has at its identity provider.

Spec: RFC 6749 §4.4; RFC 7523 §2.1; RFC 8693 §2; draft-ietf-oauth-identity-assertion-authz-grant (ID-JAG);
modelcontextprotocol/ext-auth (client credentials, workload identity federation, enterprise-managed authorization).
"""

from .credentials import LoginFailed
from .dance import Dance, plain
from .discovery import AuthorizationServer
from .dpop import DpopKey
from .login import Found, Login
from .oauth_client import OAuthClient
from .token_request import posted_form, request_tokens, token_response

__all__ = ["ID_TOKEN", "JWT_BEARER", "assertion_grant", "client_credentials", "identity_assertion"]

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


def client_credentials(
    found: Found, client: OAuthClient, scopes: tuple[str, ...], *, now_s: float, dpop: DpopKey | None = None
) -> Dance[Login]:
    """Raises LoginFailed."""
    return (yield from _granted(found, client, {"grant_type": "client_credentials"}, scopes, now_s, dpop))


def assertion_grant(
    found: Found,
    client: OAuthClient,
    assertion: str,
    scopes: tuple[str, ...],
    *,
    now_s: float,
    dpop: DpopKey | None = None,
) -> Dance[Login]:
    """With a JWT that somebody trusted by the authorization server has signed. Raises LoginFailed."""
    form = {"grant_type": JWT_BEARER, "assertion": assertion}
    return (yield from _granted(found, client, form, scopes, now_s, dpop))


def _granted(
    found: Found,
    client: OAuthClient,
    form: dict[str, str],
    scopes: tuple[str, ...],
    now_s: float,
    dpop: DpopKey | None,
) -> Dance[Login]:
    form |= {"resource": found.protected.resource}
    if scopes:
        form["scope"] = " ".join(scopes)
    tokens = yield from request_tokens(found.server, client, form, now_s=now_s, scopes=scopes, dpop=dpop)
    return Login(
        resource=found.protected.resource,
        server=found.server,
        client=client,
        tokens=tokens,
        asked=scopes,
        dpop=None if dpop is None else dpop.kept(),
    )


def identity_assertion(
    provider: AuthorizationServer,
    client: OAuthClient,
    subject_token: str,
    found: Found,
    scopes: tuple[str, ...],
    *,
    now_s: float,
    subject_token_type: str = ID_TOKEN,
) -> Dance[str]:
    """The assertion that an identity provider makes of who its user is, for the authorization server of one resource.

    `client`: what we are to the provider. Raises LoginFailed.
    """
    form = {
        "grant_type": _EXCHANGE,
        "requested_token_type": _ID_JAG,
        "subject_token": subject_token,
        "subject_token_type": subject_token_type,
        "audience": found.server.issuer,
        "resource": found.protected.resource,
    }
    if scopes:
        form["scope"] = " ".join(scopes)
    response = yield posted_form(provider, client, form, now_s)
    granted = token_response(provider.issuer, response)
    assertion = granted.get("access_token")
    if granted.get("issued_token_type") != _ID_JAG or not isinstance(assertion, str):
        raise LoginFailed(
            f"authorization server: {provider.issuer} gives {plain(granted.get('issued_token_type'), 80)!r} where an"
            " identity assertion was asked for"
        )
    return assertion
