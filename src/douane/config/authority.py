"""The gateway's own authorization server, made from configuration."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ..auth.authority.client import Client
from ..auth.authority.documents import Trust
from ..auth.authority.keys import KeyFile
from ..auth.authority.provider import Outside, Provider
from ..auth.authority.server import Authority, ToldOf
from ..auth.authority.settings import Settings
from ..auth.authority.stored import digest
from ..auth.authority.users import Users
from ..auth.claims import Mapped
from ..auth.exchange import Fetch
from ..auth.seal import Seal
from ..stores.ports import Records
from ..transports.address import Reach, reach_of
from .auth_model import Scopes
from .authority_model import AuthorityConfig, ProviderConfig

__all__ = ["clients_of", "open_authority", "providers_of", "told_scopes"]

_ALL = {"mcp": "Use this gateway in your name, as far as its rules let you."}
_READ = "Look things up: list what there is, and use what is marked as only reading."
_WRITE = "Change things and send things out, as far as the gateway's rules let you."


def open_authority(
    config: AuthorityConfig,
    *,
    issuer: str,
    resources: Sequence[str],
    scopes: Scopes,
    keys: Path,
    token: str,
    token_is_in: str,
    records: Records,
    seal: Seal,
    fetch_within: Callable[[Reach], Fetch],
    refused: ToldOf,
    clock: Callable[[], float],
    ticks: Callable[[], float],
) -> Authority:
    """`scopes`: those that calls need. `token`: the owner's. `fetch_within`: sends requests that go so far and no
    further. Raises KeysUnusable, OSError."""
    settings = Settings(
        issuer=issuer,
        resources=tuple(resources),
        scopes=told_scopes(config, scopes),
        default_scopes=scopes.read,
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
        fetch=fetch_within(Reach[config.documents_reach.upper()]),
        providers=providers_of(config, fetch_within, clock, ticks),
        trust=Trust(frozenset(config.trusted_hosts), config.documents),
        refused=refused,
        token_is_in=token_is_in,
        clock=clock,
        ticks=ticks,
    )


def told_scopes(config: AuthorityConfig, scopes: Scopes) -> Mapping[str, str]:
    """Each scope there is, with its words; where nothing asks for scopes there is one for all."""
    told = dict.fromkeys(scopes.read, _READ) | {name: _WRITE for name in scopes.write if name not in scopes.read}
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


def providers_of(
    config: AuthorityConfig,
    fetch_within: Callable[[Reach], Fetch],
    clock: Callable[[], float],
    ticks: Callable[[], float],
) -> Sequence[Provider]:
    """`fetch_within`: sends requests that go so far and no further."""
    return [
        Provider(_outside(name, told), fetch_within(_reach(told)), clock=clock, ticks=ticks)
        for name, told in config.providers.items()
    ]


def _outside(name: str, told: ProviderConfig) -> Outside:
    prefix = f"{name}:" if told.prefix is None else told.prefix
    return Outside(
        name=name,
        title=told.title or name,
        issuer=told.issuer,
        client_id=told.client_id,
        client_secret=told.client_secret,
        scopes=told.scopes,
        mapped=Mapped(subject=told.subject, groups=told.groups, tenant=told.tenant, prefix=prefix),
    )


def _reach(told: ProviderConfig) -> Reach:
    return reach_of(urlsplit(told.issuer).hostname or "") if told.reach is None else Reach[told.reach.upper()]
