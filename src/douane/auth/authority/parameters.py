"""Parameters of a query or a form: each once, or none of them.

Two parsers that choose differently between two values of one name disagree about what was asked. Spec: RFC 6749 §3.1.
"""

from urllib.parse import parse_qsl, urlencode

from ..exchange import HttpRequest

__all__ = ["Malformed", "form_of", "query_of", "with_parameters"]

_MAX_CHARS = 16_384
_MAX_FIELDS = 64
_FORM = "application/x-www-form-urlencoded"


class Malformed(ValueError):
    """What was sent cannot be read in one way. The text is for the client."""


def query_of(request: HttpRequest) -> dict[str, str]:
    """Raises Malformed."""
    return _read(request.url.partition("?")[2])


def form_of(request: HttpRequest) -> dict[str, str]:
    """Raises Malformed."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Malformed(f"the body must be {_FORM}")
    try:
        text = request.body.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("the body is not percent-encoded") from None
    return _read(text)


def with_parameters(uri: str, parameters: dict[str, str]) -> str:
    """`uri` with `parameters` after those it has."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"


def _read(text: str) -> dict[str, str]:
    if len(text) > _MAX_CHARS:
        raise Malformed(f"more than {_MAX_CHARS} characters of parameters")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise Malformed("the parameters are not percent-encoded UTF-8, or too many") from None
    read = dict(pairs)
    if len(read) != len(pairs):
        raise Malformed("a parameter was sent twice")
    if any("\0" in value for value in read.values()):
        raise Malformed("a parameter holds a zero byte")
    # Without a value is as if it were not there.
    return {name: value for name, value in read.items() if value}
