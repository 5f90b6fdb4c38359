"""What somebody was given and can be taken away by itself: an account, a key, a client's login, a grant, a rule.

Secrets are not among what is read here, and nothing is written: commands may look beside a running gateway.
"""

import time
from collections.abc import Sequence
from typing import Literal

import msgspec

from ..auth.api_keys import PREFIX, all_keys
from ..auth.authority.grants import Grant
from ..auth.authority.stored import Shelf
from ..auth.authority.users import User
from ..auth.grants import Vault
from ..auth.seal import Seal, SealKeysUnusable, seal_keys
from ..interceptors.policy import PolicyError
from ..interceptors.policy.rule_file import rules_in
from ..interceptors.policy.source import Rule
from ..stores.ports import Records
from .kept import CannotRead
from .paths import Paths

__all__ = ["Given", "GivenKind", "everything_given", "named_in", "vault_of"]

GivenKind = Literal["user", "key", "login", "grant", "rule"]


class Given(msgspec.Struct, frozen=True, kw_only=True):
    kind: GivenKind
    id: str
    """As the command that takes it away is told it."""
    subject: str
    """Whose it is; empty: of everybody, or of a group."""
    tenant: str = "default"
    groups: tuple[str, ...] = ()
    client: str = ""
    """By which it may be used; empty: by any."""
    server: str = ""
    """At which it is good; empty: at all."""
    what: str = ""
    """In words."""
    scopes: tuple[str, ...] = ()
    since_s: float | None = None
    used_s: float | None = None
    """As far as it is written down where it is kept. Unix seconds, like the others."""
    ends_s: float | None = None


async def everything_given(paths: Paths, records: Records) -> list[Given]:
    """Raises CannotRead, StoreFailed."""
    found = [*await _users(records), *await _keys(records), *await _logins(records), *await _grants(paths, records)]
    return sorted([*found, *_rules(paths)], key=lambda one: (one.subject, one.kind, one.id))


async def _users(records: Records) -> list[Given]:
    users = [held.value for held in await Shelf(records, "user", User).all()]
    return [
        Given(
            kind="user",
            id=user.name,
            subject=user.name,
            tenant=user.tenant,
            groups=user.groups,
            what="a user of the gateway's own authorization server",
            since_s=user.since_s or None,
        )
        for user in users
    ]


async def _keys(records: Records) -> list[Given]:
    return [
        Given(
            kind="key",
            id=key.id,
            subject=key.subject,
            tenant=key.tenant,
            groups=key.groups,
            client=f"{PREFIX}{key.id}",
            what=key.name or "a key for a program",
            scopes=key.scopes,
            since_s=key.made_s,
            used_s=key.used_s,
            ends_s=key.ends_s,
        )
        for key in await all_keys(records)
    ]


async def _logins(records: Records) -> list[Given]:
    """What clients were given at the gateway's own authorization server."""
    return [
        Given(
            kind="login",
            id=held.key,
            subject=held.value.subject.name,
            tenant=held.value.subject.tenant,
            groups=held.value.subject.groups,
            client=held.value.client,
            what=f"{held.value.client_name} at {held.value.resource}",
            scopes=held.value.scopes,
            since_s=held.value.created_s,
            used_s=held.value.used_s,
            ends_s=held.expires_s,
        )
        for held in await Shelf(records, "grant", Grant).all()
    ]


async def _grants(paths: Paths, records: Records) -> list[Given]:
    """What users have granted the gateway at upstreams."""
    vault = vault_of(paths, records)
    if vault is None:
        return []
    return [
        Given(
            kind="grant",
            id=f"{held.holding.owner.subject}/{held.holding.upstream}",
            subject=held.holding.owner.subject,
            tenant=held.holding.owner.tenant,
            server=held.holding.upstream,
            what=f"the gateway at {held.holding.upstream}, by {held.holding.issuer}",
            scopes=tuple(sorted(held.login.asked)),
        )
        async for held in vault.all()
    ]


def vault_of(paths: Paths, records: Records) -> Vault | None:
    """None: nobody has granted anything here yet. Raises CannotRead."""
    ring, index = paths.keys / "grants.keys", paths.keys / "grants.index"
    try:
        if not (ring.exists() and index.exists()):
            return None
        return Vault(records, Seal(seal_keys(ring)), index.read_bytes(), time.time)
    except (SealKeysUnusable, OSError) as exc:
        raise CannotRead(f"what users have granted cannot be read: {exc}") from None


def _rules(paths: Paths) -> list[Given]:
    """What `douane allow` has permitted."""
    try:
        rules = rules_in(paths.allowed)
    except (PolicyError, OSError, UnicodeDecodeError) as exc:
        raise CannotRead(f"{paths.allowed} cannot be used: {exc}") from None
    return [_rule(rule) for rule in rules]


def _rule(rule: Rule) -> Given:
    kind, name = named_in(rule) or ("", "")
    return Given(
        kind="rule",
        id=rule.name,
        subject=name if kind == "user" else "",
        groups=(name,) if kind == "group" else (),
        what=" ".join(line for line in rule.text.splitlines() if not line.startswith("@")),
    )


def named_in(rule: Rule) -> tuple[Literal["user", "group"], str] | None:
    """The principal that the rule's head names."""
    head = rule.tree.get("principal", {})
    entity = head.get("entity", {})
    kinds: Sequence[tuple[str, Literal["user", "group"]]] = (("Douane::User", "user"), ("Douane::Group", "group"))
    return next(((kind, str(entity["id"])) for type_, kind in kinds if entity.get("type") == type_), None)
