"""What looks like a credential among plain values: a variable takes its place.

A guess that is wrong costs nothing: the value lies in a file instead of in the configuration.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from .entry import Entry, Text, Wanted
from .variables import variable_name

__all__ = ["looks_secret", "separated"]

_NAMES = re.compile(
    r"(?i)(token|secret|passw(or)?d|passphrase|\bpwd\b|_pwd$|api[-_]?key|access[-_]?key|private[-_]?key|auth[-_]?key"
    r"|[-_]key$|^key$|credential|authorization|cookie|bearer|^pat$|[-_]pat$|signature|dsn|connection[-_]?string)"
)
_SHAPES = re.compile(
    r"(gh[pousr]_|github_pat_|glpat-|sk-|sk_live_|rk_live_|xox[abprs]-|AKIA|ASIA|AIza|ya29\.|hf_|npm_|pypi-|ntn_|dn_|eyJ)"
    r"[A-Za-z0-9_.\-]{8,}|-----BEGIN [A-Z ]*PRIVATE KEY|Bearer [A-Za-z0-9_.~+/=\-]{8,}"
)
_LONG = re.compile(r"(?=[^a-z]*[a-z])(?=[^0-9]*[0-9])(?=[^A-Z]*[A-Z])[A-Za-z0-9_\-+=]{32,}")
_SCHEME = re.compile(r"((Bearer|Basic|Token|ApiKey|token) +)(\S.*)")
_FLAG = re.compile(r"(-{0,2}([A-Za-z0-9][A-Za-z0-9_-]*)=)(.*)", re.DOTALL)
_HEADER = re.compile(r"(([A-Za-z][A-Za-z0-9-]*): ?)(?!//)(.*)", re.DOTALL)
_QUERY = re.compile(r"([?&;]([A-Za-z0-9_.-]+)=)([^&#]+)")
_PASSWORD = re.compile(r"://[^/@:]*:([^/@]+)@")
_REFERENCE = re.compile(r"\$\$\{|\$\{[^{}]*\}")
_TAME = re.compile(r"(?i)(true|false|yes|no|none|null|[0-9]{1,5}|)")


def looks_secret(name: str, value: str) -> bool:
    """Whether `value`, given under `name`, is better not written down for all to see."""
    if _TAME.fullmatch(value):
        return False
    return bool(_NAMES.search(name) or _SHAPES.search(value) or _LONG.fullmatch(value)) or _has_password(value)


def _has_password(value: str) -> bool:
    try:
        return bool(urlsplit(value).password)
    except ValueError:
        return False


def _literals(text: str) -> Iterator[tuple[int, int]]:
    """Where in `text` no variable stands."""
    at = 0
    for match in _REFERENCE.finditer(text):
        if match[0] != "$${":
            yield at, match.start()
            at = match.end()
    yield at, len(text)


def separated(entry: Entry, prefix: str, taken: Iterable[str]) -> tuple[Entry, dict[str, str]]:
    """The entry with a variable in the place of each literal credential, and the credentials by variable.

    `prefix` begins the names of the variables; none of `taken` is used.
    """
    moving = _Moving(prefix, set(taken))
    made = Entry(
        name=entry.name,
        file=entry.file,
        line=entry.line,
        client=entry.client,
        command=moving.words(entry.command),
        env={name: moving.value(name, text) for name, text in entry.env.items()},
        cwd=entry.cwd,
        url=None if entry.url is None else moving.url(entry.url),
        headers={name: moving.value(name, text) for name, text in entry.headers.items()},
        is_disabled=entry.is_disabled,
        notes=entry.notes,
        problems=entry.problems,
    )
    return made, moving.moved


class _Moving:
    def __init__(self, prefix: str, taken: set[str]) -> None:
        self._prefix, self._taken = prefix, taken
        self.moved: dict[str, str] = {}

    def value(self, name: str, text: Text) -> Text:
        """A value given under `name`: a variable of the environment, a header, an argument."""
        if text.wanted:
            return self._beside(name, text)
        part = _secret_part(name, text.text, text.is_secret)
        return text if part is None else self._variable(part.name, text, part.before, part.secret, "")

    def _beside(self, name: str, text: Text) -> Text:
        """A value with variables: of what is written beside them, and as their defaults, only what is a credential."""
        for wanted in text.wanted:
            if wanted.default is not None and (
                looks_secret(wanted.name, wanted.default) or looks_secret(name, wanted.default)
            ):
                text = self._without_default(text, wanted, wanted.default)
        for start, end in reversed(list(_literals(text.text))):
            part = text.text[start:end]
            at = (
                found.span(1) if (found := _PASSWORD.search(part)) else (found := _SHAPES.search(part)) and found.span()
            )
            if at:
                before, after = text.text[: start + at[0]], text.text[start + at[1] :]
                text = self._variable(name, text, before, part[at[0] : at[1]], after)
        return text

    def _without_default(self, text: Text, wanted: Wanted, default: str) -> Text:
        """A default that is a credential becomes the value of its variable, unless that has one."""
        if wanted.name not in self._taken:
            self._taken.add(wanted.name)
            self.moved[wanted.name] = default
        plain = Wanted(wanted.name, is_secret=True)
        return Text(
            text.text.replace(f"${{{wanted.name}:-{default}}}", f"${{{wanted.name}}}"),
            text.line,
            tuple(plain if one == wanted else one for one in text.wanted),
            is_secret=True,
        )

    def words(self, command: tuple[Text, ...]) -> tuple[Text, ...]:
        """The command; an argument is named by the option before it."""
        made: list[Text] = []
        option = ""
        for word in command:
            made.append(self.value(option or "argument", word) if made else word)
            option = word.text if word.text.startswith("-") and "=" not in word.text else ""
        return tuple(made)

    def url(self, text: Text) -> Text:
        """Of a URL only what its query says under a telling name."""
        for match in reversed(list(_QUERY.finditer(text.text))):
            if "${" not in match[3] and looks_secret(match[2], match[3]):
                before, after = text.text[: match.start(3)], text.text[match.end(3) :]
                text = self._variable(match[2], text, before, match[3], after)
        return text

    def _variable(self, name: str, text: Text, before: str, secret: str, after: str) -> Text:
        wanted = Wanted(self._free(variable_name(name)), is_secret=True)
        self.moved[wanted.name] = secret.replace("$${", "${")
        return Text(f"{before}${{{wanted.name}}}{after}", text.line, (*text.wanted, wanted), is_secret=True)

    def _free(self, name: str) -> str:
        start = name if name.startswith(f"{self._prefix}_") else f"{self._prefix}_{name}"
        made, number = start, 1
        while made in self._taken:
            number += 1
            made = f"{start}_{number}"
        self._taken.add(made)
        return made


class _Part(NamedTuple):
    name: str
    before: str
    secret: str


def _secret_part(name: str, value: str, is_secret: bool) -> _Part | None:
    """The part of a value that is a credential: of `--token=x`, `TOKEN=x`, `Authorization: Bearer x` only the x."""
    for pattern, says_name in ((_FLAG, True), (_HEADER, True), (_SCHEME, False)):
        match = pattern.fullmatch(value)
        inner = match and _secret_part(match[2] if says_name else name, match[3], is_secret and not says_name)
        if match and inner:
            return inner._replace(before=match[1] + inner.before)
    if value.startswith("-") or not (is_secret or looks_secret(name, value)):
        return None
    return _Part(name, "", value)
