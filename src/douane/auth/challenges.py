"""What is said to who is not let in, so that a client can find out where to get a credential, and which.

Spec: RFC 6750 §3, RFC 9728 §5.1, RFC 9449 §7.1; specification/2026-07-28/basic/authorization/index.mdx (scope challenges).
"""

from collections.abc import Mapping, Sequence

from .tokens import NO_TOKEN, WRONG, Denied

__all__ = ["Challenges"]

PROOF_ALGORITHMS = ("ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "PS256")


class Challenges:
    def __init__(self, metadata: Mapping[str, str] | None = None, scopes: Sequence[str] = ()) -> None:
        """`metadata`: where each resource says of itself who issues tokens for it; without any, the only token is the
        gateway's own. `scopes`: the least that is good for anything."""
        self._metadata, self._scopes = metadata or {}, scopes

    def none(self, resource: str) -> Denied:
        """Nothing was shown."""
        if resource not in self._metadata:
            return NO_TOKEN
        words = "client: log in, or send a token as `Authorization: Bearer …`; WWW-Authenticate says where to get one"
        return Denied(401, words, self._of(resource, scope=self._scopes))

    def wrong(self, resource: str, why: str) -> Denied:
        """What was shown does not hold."""
        if resource not in self._metadata:
            return WRONG
        return Denied(
            401, f"client: the token is refused: {why}", self._of(resource, "invalid_token", why, self._scopes)
        )

    def malformed(self, resource: str, why: str) -> Denied:
        return Denied(400, f"client: {why}", self._of(resource, "invalid_request", why))

    def proof(self, resource: str, why: str) -> Denied:
        """A token is bound to a key, and that its sender has it is not shown."""
        algorithms = " ".join(PROOF_ALGORITHMS)
        challenge = _challenge("DPoP", {"error": "invalid_dpop_proof", "error_description": why, "algs": algorithms})
        return Denied(401, f"client: the DPoP proof is refused: {why}", challenge)

    def scopes(self, resource: str, needed: Sequence[str]) -> str:
        """For a call that needs more than its token is good for: all that it needs, at once."""
        return self._of(resource, "insufficient_scope", "the token is not good for this call", needed)

    def _of(self, resource: str, error: str = "", why: str = "", scope: Sequence[str] = ()) -> str:
        said = {"error": error, "error_description": why, "scope": " ".join(scope)}
        return _challenge("Bearer", {**said, "resource_metadata": self._metadata.get(resource, "")})


def _challenge(scheme: str, said: Mapping[str, str]) -> str:
    parameters = ", ".join(f'{name}="{value}"' for name, value in said.items() if value)
    return f"{scheme} {parameters}".rstrip()
