"""The gateway's own authorization server, made from configuration."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..auth.authority.client import Client
from ..auth.authority.documents import Trust
from ..auth.authority.keys import KeyFile
from ..auth.authority.redirects import registrable
from ..auth.authority.server import Authority, ToldOf
from ..auth.authority.settings import Settings
from ..auth.authority.stored import digest
from ..auth.authority.users import Users
from ..auth.exchange import Fetch
from ..auth.seal import Seal
from ..stores.ports import Records
from .authority_model import AuthorityConfig

__all__ = ["clients_of", "faults_of", "open_authority", "told_scopes"]

_ALL = {"mcp": "Use this gateway in your name, as far as its rules let you."}
_READ = "Look things up: list what there is, and use what is marked as only reading."
_WRITE = "Change things and send things out, as far as the gateway's rules let you."


def open_authority(
    config: AuthorityConfig,
    *,
    issuer: str,
    resources: Sequence[str],
    read: Sequence[str],
    write: Sequence[str],
    keys: Path,
    token: str,
    token_is_in: str,
    records: Records,
    seal: Seal,
    fetch: Fetch,
    refused: ToldOf,
    clock: Callable[[], float],
    ticks: Callable[[], float],
) -> Authority:
    """`read` and `write`: the scopes that calls need. `token`: the owner's. Raises KeysUnusable, OSError."""
    settings = Settings(
        issuer=issuer,
        resources=tuple(resources),
        scopes=told_scopes(config, read, write),
        default_scopes=tuple(read),
        registration=config.registration,
        access_s=config.access_minutes * 60,
        refresh_s=config.refresh_days * 86_400,
        session_s=config.session_hours * 3_600,
    )
    file = KeyFile(keys, clock)
    # Now, and not when the first person logs in.
    file()
    return Authority(
        records=records,
        seal=seal,
        keys=file,
        settings=settings,
        users=Users(records, clock, ticks, token),
        clients=clients_of(config),
        fetch=fetch,
        trust=Trust(frozenset(config.trusted_hosts), config.documents),
        refused=refused,
        token_is_in=token_is_in,
        clock=clock,
        ticks=ticks,
    )


def told_scopes(config: AuthorityConfig, read: Sequence[str], write: Sequence[str]) -> Mapping[str, str]:
    """Each scope there is, with its words; where nothing asks for scopes there is one for all."""
    told = dict.fromkeys(read, _READ) | {name: _WRITE for name in write if name not in read}
    return (told or ({} if config.scopes else _ALL)) | config.scopes


def clients_of(config: AuthorityConfig) -> Sequence[Client]:
    return [
        Client(
            id=id_,
            name=client.name or id_,
            redirect_uris=client.redirect_uris,
            known="configured",
            authenticates="none" if client.secret is None else "client_secret_basic",
            secret_digest="" if client.secret is None else digest(client.secret),
            trusted=True,
        )
        for id_, client in config.clients.items()
    ]


def faults_of(config: AuthorityConfig) -> Mapping[tuple[str, ...], str]:
    """What is wrong, by place below `auth.authority`."""
    faults: dict[tuple[str, ...], str] = {}
    for id_, client in config.clients.items():
        for uri in client.redirect_uris:
            if not registrable(uri):
                words = "a redirect URI must be https with a path, or http on 127.0.0.1, [::1] or localhost"
                faults["clients", id_, "redirect_uris"] = f"{uri!r}: {words}"
        if client.secret is not None and len(client.secret) < 16:
            faults["clients", id_, "secret"] = (
                "a secret has at least 16 characters; make one with `openssl rand -hex 32`"
            )
    return faults
