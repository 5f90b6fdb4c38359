"""Secrets that others keep: the keyring of the user, and whatever speaks Vault's HTTP.

`${keyring:SERVICE/USER}` and `${vault:PATH#FIELD}` in a value. They are read when the configuration is, and never written down.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

import msgspec

__all__ = ["SecretUnavailable", "Vault", "from_keyring"]

_TIMEOUT_S = 5.0
_MAX_BYTES = 1024 * 1024
_TOKEN_FILE = ".vault-token"


class SecretUnavailable(Exception):
    """It cannot be had; the text says from whom, why, and the remedy."""


def from_keyring(name: str) -> str:
    """`name`: SERVICE/USER, of which the user is what follows the last slash. Raises SecretUnavailable."""
    try:
        # An extra: most run without one, and it takes its time to load.
        import keyring
        import keyring.errors
    except ImportError:
        raise SecretUnavailable("the keyring needs its package; run: pip install 'douane[keyring]'") from None
    service, slash, user = name.rpartition("/")
    if not (service and slash and user):
        raise SecretUnavailable("write ${keyring:SERVICE/USER}")
    try:
        secret = keyring.get_password(service, user)
    except (keyring.errors.KeyringError, RuntimeError, OSError) as exc:
        raise SecretUnavailable(f"the keyring cannot be asked: {exc}; unlock it, or name a file instead") from None
    if not secret:
        raise SecretUnavailable(f"the keyring has nothing for it; run: keyring set {service} {user}")
    return secret


class Vault:
    """HashiCorp Vault, OpenBao and what else speaks their HTTP, found by their own variables.

    VAULT_ADDR, VAULT_TOKEN or VAULT_TOKEN_FILE or ~/.vault-token, VAULT_NAMESPACE, VAULT_CACERT. A proxy of the environment is
    not taken and a redirect is not followed: the token goes where VAULT_ADDR says and nowhere else.
    Spec: Vault's HTTP API, KV secrets engine, versions 1 and 2.
    """

    def __init__(self, env: Mapping[str, str], here: Path) -> None:
        self._env, self._here = env, here
        self._read: dict[str, Mapping[str, Any]] = {}

    def field(self, name: str) -> str:
        """`name`: PATH#FIELD, the path as the API has it (`secret/data/app` for version 2). Raises SecretUnavailable."""
        path, sharp, field = name.partition("#")
        path = path.strip("/")
        if not (path and sharp and field):
            raise SecretUnavailable("write ${vault:PATH#FIELD}, for example ${vault:secret/data/tickets#token}")
        if any(part in ("", ".", "..") for part in path.split("/")):
            raise SecretUnavailable("the path of a secret has no empty part, no . and no ..")
        if path not in self._read:
            self._read[path] = self._get(path)
        value = self._read[path].get(field)
        if not isinstance(value, str) or not value:
            known = ", ".join(sorted(self._read[path])) or "none"
            raise SecretUnavailable(f"Vault's {path} has no text in the field {field!r}; its fields: {known}")
        return value

    def _get(self, path: str) -> Mapping[str, Any]:
        address = self._address()
        headers = {"X-Vault-Token": self._token(), "X-Vault-Request": "true"}
        if namespace := self._env.get("VAULT_NAMESPACE"):
            headers["X-Vault-Namespace"] = namespace
        request = Request(f"{address}/v1/{quote(path)}", headers=headers)
        try:
            with self._opener().open(request, timeout=_TIMEOUT_S) as answer:
                body = answer.read(_MAX_BYTES + 1)
        except HTTPError as exc:
            exc.close()
            raise SecretUnavailable(_refused(exc.code, path, address)) from None
        except (URLError, OSError, ValueError) as exc:
            reason = getattr(exc, "reason", exc)
            raise SecretUnavailable(f"network: Vault at {address} cannot be reached: {reason}") from None
        return _data(body, path)

    def _address(self) -> str:
        address = self._env.get("VAULT_ADDR", "").rstrip("/")
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SecretUnavailable("VAULT_ADDR is not set to http:// or https://; it says where Vault is")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise SecretUnavailable(
                "VAULT_ADDR is http:// to another machine, where its token could be read; use https://"
            )
        return address

    def _token(self) -> str:
        if token := self._env.get("VAULT_TOKEN"):
            return token
        named = self._env.get("VAULT_TOKEN_FILE")
        path = self._here / named if named else Path(self._env.get("HOME") or "/") / _TOKEN_FILE
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise SecretUnavailable(f"there is no token for Vault: set VAULT_TOKEN, or write it to {path}") from None

    def _opener(self) -> OpenerDirector:
        try:
            tls = ssl.create_default_context(cafile=self._env.get("VAULT_CACERT") or None)
        except (OSError, ssl.SSLError) as exc:
            raise SecretUnavailable(f"VAULT_CACERT cannot be used: {exc}") from None
        return build_opener(ProxyHandler({}), _NoRedirect(), HTTPSHandler(context=tls))


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


def _refused(status: int, path: str, address: str) -> str:
    why = {
        403: "its token may not read it, or has expired; log in to Vault again",
        404: "there is no such secret; with version 2 of the KV engine the path has data/ after the mount",
    }
    return f"Vault at {address} answered {status} for {path}: {why.get(status, 'see its log')}"


def _data(body: bytes, path: str) -> Mapping[str, Any]:
    try:
        answer: Any = msgspec.json.decode(body) if len(body) <= _MAX_BYTES else None
    except msgspec.DecodeError:
        answer = None
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        _no_secret(path)
    inner: Any = data.get("data")
    # Version 2 has the fields one level deeper, beside metadata of its own.
    return inner if isinstance(inner, dict) and isinstance(data.get("metadata"), dict) else data


def _no_secret(path: str) -> NoReturn:
    raise SecretUnavailable(f"Vault did not answer with a secret for {path}; is that an address of its API?")
