"""Is it what the model says, and can it be meant? All that is wrong, each with its place; no value is repeated."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin
from urllib.parse import SplitResult, urlsplit

import msgspec

from ..transports.http_client import Origin
from .auth_checks import of_auth
from .authority_checks import of_authority
from .model import Config, UpstreamConfig, UpstreamTls
from .problem import Place, Problem, problem_at
from .shown import NAME, of_names, of_servers
from .upstream_checks import of_secrets, of_upstream_auth

__all__ = ["Shape", "meant", "plain_http_warnings"]

_PREFIX = re.compile(r"[A-Za-z0-9_.\-]{0,32}")
_VARIABLE_NAME = re.compile(r"[^=\0]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\uffff]*")
_OURS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "content-type", "accept")
)
_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+|null", re.ASCII)
_HOST = re.compile(r"([A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_BOUND = re.compile(r"Expected `\w+` (>=|<=|>) ([0-9.]+)")
_BOUNDS = {">": "more than", ">=": "at least", "<=": "at most"}
_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    dict: "a mapping",
}


class Shape:
    """Plain data against the model, part by part, so that one fault does not hide the others."""

    def __init__(self, lines: Mapping[Place, int], outside: Mapping[Place, str]) -> None:
        self._lines, self._outside = lines, outside
        self.problems: list[Problem] = []

    def struct(self, raw: Any, model: type[msgspec.Struct], place: Place = ()) -> dict[str, Any]:
        """What of `raw` fits the fields of `model`; the rest goes to `problems`."""
        if not isinstance(raw, dict):
            remedy = "remove the key for the defaults" if raw is None else ""
            self._add(place, "must be a mapping" + (", and is empty" if raw is None else ""), remedy)
            return {}
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(model)}
        made: dict[str, Any] = {}
        for key, value in raw.items():
            if key in fields:
                made[key] = self._value(value, fields[key], (*place, key))
            else:
                near = difflib.get_close_matches(key, fields, n=1)
                remedy = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(fields)}"
                self._add((*place, key), "unknown key", remedy)
        return made

    def _value(self, value: Any, type_: Any, place: Place) -> Any:
        if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
            return self.struct(value, type_, place)
        origin, arguments = get_origin(type_), get_args(type_)
        if origin is dict and isinstance(value, dict):
            return {key: self._value(inner, arguments[1], (*place, str(key))) for key, inner in value.items()}
        # Of what may also be left out, in place of which there is None.
        optional = next((one for one in arguments if _has_parts(one)), None) if type(None) in arguments else None
        if optional is not None and value is not None:
            return self._value(value, optional, place)
        if origin is tuple and isinstance(value, list):
            return [self._value(inner, arguments[0], (*place, index)) for index, inner in enumerate(value)]
        try:
            # The environment holds text only: "9000" is a number there.
            return msgspec.convert(value, type_, strict=place not in self._outside)
        except msgspec.ValidationError as exc:
            self._add(place, *_worded(str(exc), value, type_))
            return None

    def _add(self, place: Place, message: str, remedy: str = "") -> None:
        self.problems.append(problem_at(self._lines, place, message, remedy))


def _has_parts(type_: Any) -> bool:
    return get_origin(type_) is tuple or (isinstance(type_, type) and issubclass(type_, msgspec.Struct))


def _worded(said: str, value: Any, type_: Any) -> tuple[str, str]:
    if bound := _BOUND.match(said):
        return f"must be {_BOUNDS[bound[1]]} {float(bound[2]):g}", ""
    if get_origin(type_) is tuple:
        remedy = "write it in brackets, one part each: [first, second]" if isinstance(value, str) else ""
        return "must be a list", remedy
    choices = [choice for part in (type_, *get_args(type_)) for choice in get_args(part) if isinstance(choice, str)]
    if choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        return f"must be one of {', '.join(choices)}", f'did you mean "{near[0]}"?' if near else ""
    kinds = [kind for kind in (get_origin(type_) or type_, *get_args(type_)) if kind in _WORDS]
    wanted = _WORDS[kinds[0]] if kinds else said
    if wanted == "text" and isinstance(value, int | float):
        return f"must be {wanted}", "put it in quotes"
    return f"must be {wanted}", ""


def meant(config: Config, lines: Mapping[Place, int]) -> Iterator[Problem]:
    """What fits the model and still cannot be used."""

    def problem(place: Place, message: str, remedy: str = "") -> Problem:
        return problem_at(lines, place, message, remedy)

    if not config.upstreams:
        yield problem(("upstreams",), "there is no server", "name at least one, with `command` or `url`")
    for index, origin in enumerate(config.listen.origins):
        if not _ORIGIN.fullmatch(origin) or origin == "null":
            yield problem(
                ("listen", "origins", index),
                "is no origin as browsers send it",
                "write scheme://host[:port], in small letters, without a path; there is no pattern for all",
            )
    for index, host in enumerate(config.listen.hosts):
        if not _HOST.fullmatch(host):
            yield problem(
                ("listen", "hosts", index), "is no host[:port] as clients send it", "write gateway.example:443"
            )
    for place, message, remedy in (
        *of_names(config, lines),
        *of_servers(config),
        *_of_network(config),
        *of_auth(config),
        *of_authority(config),
        *of_secrets(config),
    ):
        yield problem(place, message, remedy)
    for name, upstream in config.upstreams.items():
        at = ("upstreams", name)
        if not NAME.fullmatch(name):
            yield problem(at, "a name is 1 to 24 of a-z, 0-9 and -, a letter first", "its tools are shown as name_tool")
        for place, message, remedy in _of_upstream(upstream):
            yield problem((*at, *place), message, remedy)


def _of_network(config: Config) -> Iterator[tuple[Place, str, str]]:
    network, tls = config.network, config.listen.tls
    if tls.key is not None and tls.certificate is None:
        yield ("listen", "tls", "key"), "has no `certificate` beside it", ""
    if network.proxy is not None:
        parts = _split(network.proxy)
        if parts is None or parts.scheme not in ("http", "https") or parts.path.strip("/") or parts.query:
            yield ("network", "proxy"), "is no proxy", "write http://host:port or https://host:port"
        elif "@" in parts.netloc:
            yield ("network", "proxy"), "holds credentials", "put them into `proxy_authorization`, from a variable"
    for key in ("proxy_authorization", "direct"):
        if getattr(network, key) and network.proxy is None:
            yield ("network", key), "belongs to a `proxy`, and there is none", ""
    if not _HEADER_VALUE.fullmatch(network.proxy_authorization or ""):
        yield (
            ("network", "proxy_authorization"),
            "holds a control character",
            "is a line end in the variable or its file?",
        )


def _split(url: str) -> SplitResult | None:
    """None for what is no URL with a host."""
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _of_upstream(upstream: UpstreamConfig) -> Iterator[tuple[Place, str, str]]:
    if upstream.command and upstream.url is not None:
        yield (), "has both `command` and `url`", "a server is run or called; keep one"
    elif not upstream.command and upstream.url is None:
        yield (), "needs `command` or `url`", "write command: [program, argument] or url: https://…"
    elif upstream.url is not None:
        yield from _of_url(upstream, upstream.url)
    else:
        yield from _of_command(upstream)
    if upstream.prefix is not None and not _PREFIX.fullmatch(upstream.prefix):
        yield ("prefix",), "is at most 32 of A-Z, a-z, 0-9, _ . -", ""
    for index, root in enumerate(upstream.roots):
        if "\0" in root or ("://" in root and not root.startswith("file:///")):
            yield ("roots", index), "is neither a folder nor a file:// URI", "write /home/me/project"
    if upstream.max_deadline_s < upstream.deadline_s:
        yield ("max_deadline_s",), "is less than `deadline_s`", "progress extends a deadline, it never shortens it"


def _of_command(upstream: UpstreamConfig) -> Iterator[tuple[Place, str, str]]:
    for key, unset in (("headers", {}), ("reach", None), ("tls", UpstreamTls()), ("auth", None)):
        if getattr(upstream, key) == unset:
            continue
        yield (key,), "belongs to a `url`; this server has a `command`", ""
    if not upstream.command[0]:
        yield ("command", 0), "the program has no name", ""
    for index, part in enumerate(upstream.command):
        if "\0" in part:
            yield ("command", index), "holds a NUL character", ""
    for index, key in enumerate(upstream.inherit):
        if not _VARIABLE_NAME.fullmatch(key):
            yield ("inherit", index), "is the name of a variable, without its value", "write NAME=value as `env`"
    for key, value in upstream.env.items():
        if not _VARIABLE_NAME.fullmatch(key) or "\0" in value:
            yield ("env", key), "a variable has a name without =, and neither name nor value holds a NUL", ""


def _of_url(upstream: UpstreamConfig, url: str) -> Iterator[tuple[Place, str, str]]:
    for key in ("env", "inherit", "cwd"):
        if getattr(upstream, key):
            yield (key,), "belongs to a `command`; this server has a `url`", ""
    if upstream.processes != 1:
        yield ("processes",), "belongs to a `command`; this server has a `url`", ""
    yield from of_upstream_auth(upstream)
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https"):
        yield ("url",), "needs http:// or https:// and a host", "write https://host[:port]/path"
    elif "@" in parts.netloc:
        yield ("url",), "holds credentials", "put them into `headers`, from a variable"
    elif (fault := _origin_fault(url)) is not None:
        yield ("url",), fault, ""
    elif parts.scheme == "http" and upstream.tls != UpstreamTls():
        yield ("tls",), "belongs to a `url` of https", ""
    if upstream.tls.key is not None and upstream.tls.certificate is None:
        yield ("tls", "key"), "has no `certificate` beside it", ""
    names = [key.lower() for key in upstream.headers]
    for key, value in upstream.headers.items():
        if names.count(key.lower()) > 1:
            yield ("headers", key), "stands twice, in large and small letters", "servers make no difference; keep one"
        elif not _HEADER_NAME.fullmatch(key):
            yield ("headers", key), "is no name of a header", ""
        elif key.lower() in _OURS or key.lower().startswith("mcp-"):
            yield ("headers", key), "the gateway itself writes this header", "remove it"
        elif not _HEADER_VALUE.fullmatch(value):
            yield ("headers", key), "holds a control character", "is a line end in the variable or its file?"


def _origin_fault(url: str) -> str | None:
    """In the words of who will call it."""
    try:
        Origin.parse(url)
    except ValueError as exc:
        return str(exc)
    return None


def plain_http_warnings(config: Config, lines: Mapping[Place, int]) -> Iterator[Problem]:
    """Credentials that would cross a network in the clear."""
    for name, upstream in config.upstreams.items():
        parts = urlsplit(upstream.url or "")
        if (
            parts.scheme == "http"
            and (upstream.headers or upstream.auth)
            and parts.hostname not in ("localhost", "127.0.0.1", "::1")
        ):
            place = ("upstreams", name, "url")
            yield problem_at(lines, place, "its credentials cross the network in the clear", "use https://")
