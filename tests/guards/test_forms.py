"""Forms that ask for secrets, by the names of their fields."""

from typing import Any

import pytest

from douane.guards.forms import secret_field


def form(name: str, **field: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"city": {"type": "string"}, name: {"type": "string", **field}}}


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "user_password",
        "userPassword",
        "PASSWORD",
        "api_key",
        "apiKey",
        "API key",
        "accessToken",
        "client-secret",
        "private_key_pem",
        "cardNumber",
        "cvv",
        "ssn",
        "idToken",
        "your passphrase",
    ],
)
def test_a_field_for_a_secret_is_found_however_it_is_written(name: str) -> None:
    assert secret_field(form(name)) == name
    assert secret_field(form("plain", title=name)) == "plain"


@pytest.mark.parametrize("name", ["otp", "cvv", "cardNumber", "pin_code", "passcode"])
@pytest.mark.parametrize("type_", ["integer", "number"])
def test_a_secret_of_digits_is_found_in_a_field_for_a_number(name: str, type_: str) -> None:
    assert secret_field(form(name, type=type_)) == name


@pytest.mark.parametrize("name", ["api_key_count", "session token minutes", "password_length"])
def test_a_number_about_a_secret_is_none(name: str) -> None:
    assert secret_field(form(name, type="integer")) is None


def test_choices_that_are_none_hide_nothing() -> None:
    assert secret_field(form("password", enum=None)) == "password"


@pytest.mark.parametrize(
    "name", ["maxTokens", "token_count", "key", "keyword", "card", "number", "secretary", "passenger", "pin", "monkey"]
)
def test_what_only_looks_like_one_is_not(name: str) -> None:
    assert secret_field(form(name)) is None


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"properties": []},
        {"properties": {"password": 7}},
        form("password", type="boolean"),
        form("secret", enum=["a"]),
    ],
)
def test_what_holds_no_text_of_the_persons_own_asks_for_no_secret(schema: Any) -> None:
    assert secret_field(schema) is None
