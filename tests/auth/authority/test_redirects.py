"""Whatever is asked for: a browser goes where the client has registered, at most at another port of the same machine."""

from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from douane.auth.authority.redirects import is_loopback, registered_for, registrable

_PIECES = st.sampled_from(
    [
        *(
            "http",
            "https",
            "HTTPS",
            "javascript",
            "//",
            ":",
            "/",
            "\\",
            "@",
            "#",
            "?",
            "%2f",
            "%00",
            "..",
            ".",
            " ",
            "\t",
            "\n",
        ),
        *(
            "127.0.0.1",
            "localhost",
            "[::1]",
            "127.1",
            "0",
            "app.example",
            "evil.example",
            "xn--",
            "é",
            "\u202e",
            "443",
            "8080",
        ),
        *("callback", "cb", "<", ">", '"', "'", "|", "^", "`", "{", "}", ";", ",", "&", "="),
    ]
)
URIS = st.lists(_PIECES, max_size=12).map("".join) | st.text(max_size=40) | st.sampled_from(
    [
        "https://app.example/callback",
        "http://127.0.0.1/cb",
        "http://127.0.0.1:8080/cb",
        "http://localhost:443/cb",
        "http://[::1]:8080/cb",
    ]
)  # fmt: skip


@given(URIS, URIS)
def test_what_is_asked_for_is_what_was_registered_but_for_a_loopback_port(asked: str, registered: str) -> None:
    if not registered_for(asked, [registered]):
        return
    one, other = urlsplit(asked), urlsplit(registered)
    assert (one.scheme, one.hostname, one.path, one.query) == (other.scheme, other.hostname, other.path, other.query)
    assert asked == registered or is_loopback(asked)
    assert (one.username, one.password, one.fragment) == (None, None, "")


@given(URIS)
def test_what_may_be_registered_is_read_in_one_way(uri: str) -> None:
    if not registrable(uri):
        return
    parts = urlsplit(uri)
    assert parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")
    assert uri.isascii()
    assert uri.isprintable()
    assert (parts.username, parts.fragment) == (None, "")
    assert parts.netloc == parts.netloc.lower()
    assert parts.port is None or 0 <= parts.port < 65_536
