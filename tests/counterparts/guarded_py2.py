"""A server on the official Python SDK, second major version, that is its own authorization server, at the port of $PORT.

Everybody may register, and everybody agrees at once. Its tokens end after ten seconds; refresh tokens are good once. `whoami`
says which client calls, and how many tokens have been given.
"""

import os
import secrets
import time

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

ORIGIN = f"http://127.0.0.1:{os.environ['PORT']}"
LIVES_S = 10


class Provider:
    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.refreshes: dict[str, RefreshToken] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        assert client_info.client_id is not None
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = AuthorizationCode(
            code=secrets.token_urlsafe(32),
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=client.client_id or "",
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state, iss=ORIGIN)

    async def load_authorization_code(self, client: object, authorization_code: str) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client: object, authorization_code: AuthorizationCode) -> OAuthToken:
        code = self.codes.pop(authorization_code.code)
        return self.give(code.client_id, code.scopes, code.resource)

    async def load_refresh_token(self, client: object, refresh_token: str) -> RefreshToken | None:
        return self.refreshes.get(refresh_token)

    async def exchange_refresh_token(
        self, client: object, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        before = self.refreshes.pop(refresh_token.token)
        return self.give(before.client_id, scopes or before.scopes, f"{ORIGIN}/mcp")

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.access.pop(token.token, None)

    def give(self, client_id: str, scopes: list[str], resource: str | None) -> OAuthToken:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        ends = int(time.time()) + LIVES_S
        self.access[access] = AccessToken(
            token=access, client_id=client_id, scopes=scopes, expires_at=ends, resource=resource
        )
        self.refreshes[refresh] = RefreshToken(token=refresh, client_id=client_id, scopes=scopes)
        return OAuthToken(
            access_token=access, expires_in=LIVES_S, refresh_token=refresh, scope=" ".join(scopes) or None
        )


provider = Provider()
server = MCPServer(
    "guarded",
    auth_server_provider=provider,
    auth=AuthSettings.model_validate(
        {
            "issuer_url": ORIGIN,
            "resource_server_url": f"{ORIGIN}/mcp",
            "required_scopes": ["user"],
            "validate_token_resource": True,
            "client_registration_options": {"enabled": True, "valid_scopes": ["user"], "default_scopes": ["user"]},
        }
    ),
)


@server.tool()
def whoami() -> str:
    token = get_access_token()
    assert token is not None
    return f"{provider.clients[token.client_id].client_name}: {len(provider.access)} tokens"


server.run("streamable-http", host="127.0.0.1", port=int(os.environ["PORT"]))
