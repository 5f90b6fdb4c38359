"""Templates read backwards: what was put in comes out, and nothing that leads elsewhere."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.sdk.uri_template import UriTemplate

VALUES = st.text(min_size=1, max_size=20)


@given(VALUES, VALUES)
def test_encoded_values_come_out_as_they_went_in_or_not_at_all(one: str, two: str) -> None:
    template = UriTemplate("db://{a}/rows/{b}.json")
    found = template.match(f"db://{quote(one, safe='')}/rows/{quote(two, safe='')}.json")
    harmless = not any(set(value) & set("/\\\0") or value == ".." for value in (one, two))
    assert found == ({"a": one, "b": two} if harmless else None)


@given(st.text(max_size=60))
def test_no_uri_yields_a_way_up_or_a_slash(uri: str) -> None:
    for text in ("{x}", "a://{x}", "a://{x}/{y}", "a://{+x}", "{+x}b"):
        for value in (UriTemplate(text).match(uri) or {}).values():
            assert ".." not in value.replace("\\", "/").split("/")
            assert "\0" not in value
            assert "+" in text or "/" not in value


@pytest.mark.parametrize(
    ("template", "uri", "values"),
    [
        ("a://b", "a://b", {}),
        ("a://b", "a://bc", None),
        ("a://{x}", "a://", None),
        ("a://{x}", "a://b/c", None),
        ("a://{+x}", "a://b/c", {"x": "b/c"}),
        ("a://{+x}", "a://b/../c", None),
        ("a://{+x}", "a:///etc/passwd", None),
        ("a://{+x}", "a://%2Fetc/passwd", None),
        ("a://{+x}", "a://%5C%5Chost/share", None),
        ("a://{+x}", "a://C:/Windows", None),
        ("a://{+x}", "a://C%3A%5CWindows", None),
        ("a://{x}", "a://C:", {"x": "C:"}),
        ("a://{x}-{y}", "a://1-2-3", {"x": "1", "y": "2-3"}),
        ("a://{x}/b", "a://1/c", None),
        ("a://{x}/b", "a://%E2%82%AC/b", {"x": "€"}),
        ("a://{x}/b", "a:///b", None),
    ],
)
def test_a_uri_fits_or_does_not(template: str, uri: str, values: dict[str, str] | None) -> None:
    assert UriTemplate(template).match(uri) == values


@pytest.mark.parametrize(
    "template", ["a://{x", "a://x}", "a://{x}{y}", "a://{x}/{x}", "a://{?q}", "a://{}", "a://{x*}"]
)
def test_what_cannot_be_read_backwards_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        UriTemplate(template)


def test_a_long_uri_is_judged_in_one_pass() -> None:
    template = UriTemplate("a://{u}-{v}-{w}-{x}-{y}!")
    assert template.match("a://" + "-" * 100_000) is None
