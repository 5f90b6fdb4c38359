"""Secrets that others keep: a real keyring, and a server that speaks Vault's HTTP."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import keyring
import pytest
from keyrings.alt.file import PlaintextKeyring

from douane.config.load import ConfigError, Loaded, explain, load

TOKEN = "s.0123456789"
Reply = tuple[int, Any]


class Stored(HTTPServer):
    """Answers as Vault's API documentation shows, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.replies: dict[str, Reply] = {
            "/v1/secret/data/tickets": (200, {"data": {"data": {"token": "two"}, "metadata": {"version": 3}}}),
            "/v1/kv/tickets": (200, {"data": {"token": "one", "n": 1}}),
            "/v1/kv/a%20b": (200, {"data": {"token": "spaced"}}),
        }

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Stored

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        status, body = self.server.replies.get(self.path, (404, {"errors": []}))
        if self.headers.get("X-Vault-Token") != TOKEN:
            status, body = 403, {"errors": ["permission denied"]}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status == 307:
            self.send_header("Location", f"{self.server.address}/v1/kv/tickets")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def vault() -> Iterator[Stored]:
    with Stored() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def loaded(folder: Path, value: str, **env: str) -> Loaded:
    path = folder / "douane.yaml"
    headers = {"Authorization": value}
    path.write_text(json.dumps({"upstreams": {"tickets": {"url": "https://t.example", "headers": headers}}}))
    return load(path, {"HOME": str(folder), **env})


def header(made: Loaded) -> str:
    return made.config.upstreams["tickets"].headers["Authorization"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("secret/data/tickets#token", "two"),
        ("kv/tickets#token", "one"),
        ("/kv/tickets/#token", "one"),
        ("kv/a b#token", "spaced"),
    ],
)
def test_a_field_of_vault_stands_in_a_value_and_is_never_shown(
    vault: Stored, tmp_path: Path, name: str, value: str
) -> None:
    made = loaded(
        tmp_path, f"Bearer ${{vault:{name}}}", VAULT_ADDR=vault.address, VAULT_TOKEN=TOKEN, VAULT_NAMESPACE="team"
    )
    assert header(made) == f"Bearer {value}"
    assert [asked["x-vault-namespace"] for _, asked in vault.asked] == ["team"]
    rows = {setting: rest for setting, *rest in explain(made)}
    assert rows["upstreams.tickets.headers.Authorization"] == ["***", f"${{vault:{name}}}"]


def test_a_secret_is_asked_for_once_and_its_token_may_lie_in_a_file(vault: Stored, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    twice = "${vault:kv/tickets#token}:${vault:kv/tickets#token}"
    assert header(loaded(tmp_path, twice, VAULT_ADDR=vault.address, VAULT_TOKEN_FILE="token")) == "one:one"
    assert len(vault.asked) == 1
    (tmp_path / ".vault-token").write_text(TOKEN)
    assert header(loaded(tmp_path, twice, VAULT_ADDR=vault.address)) == "one:one"


Change = Callable[[Stored], object]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("kv/tickets", None, "write ${vault:PATH#FIELD}"),
        ("kv/../sys/seal#token", None, "no empty part"),
        ("kv/none#token", None, "answered 404"),
        ("kv/tickets#other", None, "its fields: n, token"),
        ("kv/tickets#n", None, "no text in the field"),
        ("kv/tickets#token", lambda v: v.replies.update({"/v1/kv/tickets": (500, {})}), "answered 500"),
        ("kv/x#token", lambda v: v.replies.update({"/v1/kv/x": (307, {})}), "answered 307"),
        (
            "kv/tickets#token",
            lambda v: v.replies.update({"/v1/kv/tickets": (200, b"<html>")}),
            "did not answer with a secret",
        ),
        (
            "kv/tickets#token",
            lambda v: v.replies.update({"/v1/kv/tickets": (200, [1])}),
            "did not answer with a secret",
        ),
        ("kv/tickets#token", lambda v: v.replies.update({"/v1/kv/tickets": (200, b" " * 1_100_000)}), "did not answer"),
    ],
)
def test_what_vault_does_not_give_is_said(
    vault: Stored, tmp_path: Path, name: str, change: Change | None, said: str
) -> None:
    if change is not None:
        change(vault)
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"${{vault:{name}}}", VAULT_ADDR=vault.address, VAULT_TOKEN=TOKEN)
    assert said in str(refused.value)
    assert f"${{vault:{name}}}" in str(refused.value)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "VAULT_ADDR is not set"),
        ({"VAULT_ADDR": "http://vault.example:8200", "VAULT_TOKEN": TOKEN}, "use https://"),
        (
            {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": TOKEN},
            "network: Vault at http://127.0.0.1:1 cannot be reached",
        ),
        ({"VAULT_ADDR": "http://127.0.0.1:1"}, "there is no token for Vault"),
        (
            {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": TOKEN, "VAULT_CACERT": "/none"},
            "VAULT_CACERT cannot be used",
        ),
    ],
)
def test_where_vault_is_must_be_known_and_safe(tmp_path: Path, env: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, "${vault:kv/tickets#token}", **env)
    assert said in str(refused.value)


def test_a_token_that_may_not_read_is_told_from_one_that_is_missing(vault: Stored, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="answered 403"):
        loaded(tmp_path, "${vault:kv/tickets#token}", VAULT_ADDR=vault.address, VAULT_TOKEN="other")


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[PlaintextKeyring]:
    before = keyring.get_keyring()
    ours = PlaintextKeyring()
    ours.file_path = str(tmp_path / "ring.cfg")
    keyring.set_keyring(ours)
    yield ours
    keyring.set_keyring(before)


def test_the_keyring_of_the_user_stands_in_a_value(ring: PlaintextKeyring, tmp_path: Path) -> None:
    keyring.set_password("douane/tickets", "me@example", "kept")
    made = loaded(tmp_path, "Bearer ${keyring:douane/tickets/me@example}")
    assert header(made) == "Bearer kept"
    assert made.outside[("upstreams", "tickets", "headers", "Authorization")] == "${keyring:douane/tickets/me@example}"


@pytest.mark.parametrize(
    ("name", "said"), [("tickets", "write ${keyring:SERVICE/USER}"), ("tickets/you", "run: keyring set tickets you")]
)
def test_what_the_keyring_does_not_have_is_said(ring: PlaintextKeyring, tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"${{keyring:{name}}}")
    assert said in str(refused.value)
