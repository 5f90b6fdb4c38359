"""What clients read first: the server's own description, and its keys.

The same at both addresses that clients look at, since what OpenID Connect adds to it does not contradict it.
Spec: RFC 8414; OpenID Connect Discovery 1.0 §3; specification/2026-07-28/basic/authorization/authorization-server-discovery.mdx.
"""

from typing import Any

from .assertions import ALGORITHMS
from .settings import Settings
from .token import GRANT_TYPES

__all__ = ["metadata"]


def metadata(settings: Settings, *, documents: bool) -> dict[str, Any]:
    """`documents`: clients may be known by the address of their metadata."""
    told: dict[str, Any] = {
        "issuer": settings.issuer,
        "authorization_endpoint": settings.url("/oauth/authorize"),
        "token_endpoint": settings.url("/oauth/token"),
        "device_authorization_endpoint": settings.url("/oauth/device_authorization"),
        "revocation_endpoint": settings.url("/oauth/revoke"),
        "introspection_endpoint": settings.url("/oauth/introspect"),
        "jwks_uri": settings.url("/oauth/jwks"),
        "scopes_supported": list(settings.scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [
            "none",
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": documents,
        "protected_resources": list(settings.resources),
        # No ID tokens are made here; the two are what OpenID Connect Discovery requires of any document.
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
    if settings.registration:
        told["registration_endpoint"] = settings.url("/oauth/register")
    return told
