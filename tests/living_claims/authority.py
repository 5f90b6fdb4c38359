"""The controls of the authorization server, how each is taken out, and the test that fails without it. Rows for `table`."""

from typing import NamedTuple

__all__ = ["AUTHORITY", "Row"]


class Row(NamedTuple):
    control: str
    test: str
    file: str
    """Below src/douane."""
    text: str
    """It stands there exactly once."""
    instead: str


_HOSTILE = "tests/auth/authority/test_hostile_requests.py::"
_CODE = "tests/auth/authority/test_code.py::"
_CLIENTS = "tests/auth/authority/test_clients.py::"
_FEDERATION = "tests/auth/authority/test_federation.py::"
_DOOR = "tests/frontdoor/test_logging_in.py::"

AUTHORITY = (
    Row(
        "a browser is sent only to what the client registered",
        f"{_HOSTILE}test_a_browser_is_sent_nowhere_but_to_what_the_client_registered",
        "auth/authority/redirects.py",
        'return any(asked == one or _portless(asked) == _portless(one) != "" for one in registered)',
        "return True",
    ),
    Row(
        "of a loopback address only the port is free",
        f"{_HOSTILE}test_of_a_loopback_address_the_port_is_free_and_nothing_else",
        "auth/authority/redirects.py",
        'return "" if found is None else f"{found[1]}{found[3]}"',
        'return "" if found is None else f"{found[1]}"',
    ),
    Row(
        "PKCE is S256",
        f"{_HOSTILE}test_a_client_that_asks_wrongly_is_told_with_its_state_and_our_issuer",
        "auth/authority/asked.py",
        'if query.get("code_challenge_method") != "S256":',
        "if False:",
    ),
    Row(
        "there is no code without a challenge",
        f"{_HOSTILE}test_a_client_that_asks_wrongly_is_told_with_its_state_and_our_issuer",
        "auth/authority/asked.py",
        "if not _CHALLENGE.fullmatch(challenge):",
        "if False:",
    ),
    Row(
        "the verifier fits the challenge",
        f"{_HOSTILE}test_a_code_is_only_for_who_asked_for_it_and_a_wrong_try_does_not_spend_it",
        "auth/authority/token.py",
        "if not hmac.compare_digest(_s256(verifier), code.challenge):",
        "if False:",
    ),
    Row(
        "a code is its client's",
        f"{_HOSTILE}test_a_code_is_only_for_who_asked_for_it_and_a_wrong_try_does_not_spend_it",
        "auth/authority/token.py",
        "if code.client != client.id:",
        "if False:",
    ),
    Row(
        "a code is for the place it went to",
        f"{_HOSTILE}test_a_code_is_only_for_who_asked_for_it_and_a_wrong_try_does_not_spend_it",
        "auth/authority/token.py",
        'if form.get("redirect_uri", code.redirect_uri) != code.redirect_uri:',
        "if False:",
    ),
    Row(
        "a token is for the resource that was agreed to",
        f"{_HOSTILE}test_a_code_is_only_for_who_asked_for_it_and_a_wrong_try_does_not_spend_it",
        "auth/authority/token.py",
        'if form.get("resource", resource) != resource:',
        "if False:",
    ),
    Row(
        "tokens are for this gateway",
        f"{_HOSTILE}test_a_client_that_asks_wrongly_is_told_with_its_state_and_our_issuer",
        "auth/authority/asked.py",
        "if resource not in settings.resources:",
        "if False:",
    ),
    Row(
        "a code counts once",
        f"{_CODE}test_a_code_is_good_once_and_shown_again_ends_what_came_of_it",
        "auth/authority/grants.py",
        "if held.value.spent:",
        "if False:",
    ),
    Row(
        "a code seen again ends what came of it",
        f"{_CODE}test_a_code_is_good_once_and_shown_again_ends_what_came_of_it",
        "auth/authority/grants.py",
        '            await self.revoke(held.value.grant)\n            raise Refused("this code',
        '            raise Refused("this code',
    ),
    Row(
        "a code lives a minute",
        f"{_HOSTILE}test_a_code_expires_and_its_request_too",
        "auth/authority/grants.py",
        "if held.value.expires_s <= self._clock():",
        "if False:",
    ),
    Row(
        "a refresh token counts once",
        f"{_CODE}test_a_refresh_token_is_exchanged_once_and_seen_again_ends_its_family",
        "auth/authority/grants.py",
        "if known.generation != held.value.generation:",
        "if False:",
    ),
    Row(
        "a refresh token seen again ends its family",
        f"{_CODE}test_a_refresh_token_is_exchanged_once_and_seen_again_ends_its_family",
        "auth/authority/grants.py",
        "            await self.revoke(known.grant)\n",
        "",
    ),
    Row(
        "a refresh token is its client's",
        f"{_HOSTILE}test_a_refresh_token_is_only_for_the_client_it_was_given_to",
        "auth/authority/grants.py",
        "if held.value.client != client:",
        "if False:",
    ),
    Row(
        "a refresh gives no more than was agreed to",
        f"{_CODE}test_a_refresh_asks_for_less_and_never_for_more",
        "auth/authority/token.py",
        "if not frozenset(scopes) <= frozenset(grant.scopes):",
        "if False:",
    ),
    Row(
        "an answer names its issuer",
        f"{_HOSTILE}test_a_client_that_asks_wrongly_is_told_with_its_state_and_our_issuer",
        "auth/authority/asked.py",
        '**kept, "iss": settings.issuer}',
        "**kept}",
    ),
    Row(
        "a parameter comes once",
        f"{_HOSTILE}test_a_parameter_that_comes_twice_is_answered_here",
        "auth/authority/parameters.py",
        "if len(read) != len(pairs):",
        "if False:",
    ),
    Row(
        "a client shows its secret",
        f"{_HOSTILE}test_a_client_with_a_secret_must_show_it_in_the_way_it_registered",
        "auth/authority/clients.py",
        "return hmac.compare_digest(client.secret_digest, digest(secret))",
        "return True",
    ),
    Row(
        "only configured clients are told about tokens",
        f"{_HOSTILE}test_only_a_configured_client_with_a_secret_is_told_about_tokens",
        "auth/authority/inspect.py",
        'if client.known != "configured" or client.authenticates == "none":',
        "if False:",
    ),
    Row(
        "an assertion counts once",
        f"{_CLIENTS}test_a_client_with_a_key_shows_that_it_has_it",
        "auth/authority/assertions.py",
        'return "this assertion was used before"',
        "return None",
    ),
    Row(
        "a document names its own address",
        f"{_CLIENTS}test_a_document_that_cannot_be_used_says_why",
        "auth/authority/documents.py",
        "if told.client_id != url:",
        "if False:",
    ),
    Row(
        "whose documents do not count is not asked for them",
        f"{_CLIENTS}test_the_operator_says_whose_documents_count",
        "auth/authority/documents.py",
        'if self._trust.others == "refuse" and host not in self._trust.hosts:',
        "if False:",
    ),
    Row(
        "unused registrations end",
        f"{_CLIENTS}test_an_unknown_client_registers_and_is_gone_unless_somebody_agrees_to_it",
        "auth/authority/registrations.py",
        "await self._shelf.add(id_, client, self._clock() + _UNUSED_S)",
        "await self._shelf.add(id_, client)",
    ),
    Row(
        "one address registers few",
        f"{_CLIENTS}test_one_address_registers_no_more_than_some",
        "auth/authority/registrations.py",
        "        if wait_s:",
        "        if False:",
    ),
    Row(
        "a form is of this browser",
        f"{_HOSTILE}test_a_form_counts_once_in_the_browser_it_was_shown_in_and_not_for_long",
        "auth/authority/browser.py",
        "if form.browser != browser.key:",
        "if False:",
    ),
    Row(
        "a form counts once",
        f"{_HOSTILE}test_a_form_counts_once_in_the_browser_it_was_shown_in_and_not_for_long",
        "auth/authority/browser.py",
        'raise FormRefused("This form was sent before.") from None',
        "pass",
    ),
    Row(
        "a form is for one thing",
        f"{_HOSTILE}test_a_form_for_one_thing_is_none_for_another_and_none_can_be_made_up",
        "auth/authority/browser.py",
        'return f"authority form {purpose}"',
        'return "authority form"',
    ),
    Row(
        "who logs in gets another cookie",
        f"{_HOSTILE}test_who_logs_in_gets_another_cookie_and_who_logs_out_loses_it",
        "auth/authority/browser.py",
        "        cookie, new = self._new(subject)\n",
        "        cookie, new = 'x', Browser(browser.key, subject)\n",
    ),
    Row(
        "two cookies of one name are none",
        f"{_HOSTILE}test_two_cookies_of_our_name_are_none",
        "auth/authority/browser.py",
        "return values[0] if len(values) == 1 and values[0] else None",
        "return values[0] if values else None",
    ),
    Row(
        "pages cannot be framed",
        f"{_HOSTILE}test_pages_cannot_be_framed_nor_made_to_load_or_run_anything",
        "auth/authority/look.py",
        "; frame-ancestors 'none'",
        "",
    ),
    Row(
        "what others wrote is escaped",
        f"{_HOSTILE}test_what_others_wrote_is_shown_and_does_nothing",
        "auth/authority/look.py",
        "autoescape=True",
        "autoescape=False",
    ),
    Row(
        "consent is for each client and place",
        f"{_HOSTILE}test_consent_is_asked_once_for_each_client_person_and_scope",
        "auth/authority/consents.py",
        "f'{asked.client.id} {place} {asked.resource}'",
        "f'{asked.resource}'",
    ),
    Row(
        "consent is for its scopes",
        f"{_HOSTILE}test_consent_is_asked_once_for_each_client_person_and_scope",
        "auth/authority/consents.py",
        "return held is not None and frozenset(asked.scopes) <= frozenset(held.value.scopes)",
        "return held is not None",
    ),
    Row(
        "a program of this machine is shown each time",
        f"{_HOSTILE}test_a_program_of_this_machine_is_shown_each_time",
        "auth/authority/authorize.py",
        "return not is_loopback(asked.redirect_uri) and await",
        "return await",
    ),
    Row(
        "wrong passwords wait",
        f"{_HOSTILE}test_wrong_passwords_are_answered_alike_and_soon_have_to_wait",
        "auth/authority/users.py",
        "        if wait_s:\n            raise MustWait(wait_s)\n",
        "",
    ),
    Row(
        "codes of devices cannot be guessed for long",
        f"{_CLIENTS}test_codes_of_devices_cannot_be_guessed_at_for_long_nor_polled_by_others",
        "auth/authority/device_pages.py",
        "            self._attempts.count(source)\n",
        "",
    ),
    Row(
        "what a provider says is of this login",
        f"{_FEDERATION}test_what_a_provider_says_counts_only_when_it_is_its_own_for_us_now_and_of_this_login",
        "auth/authority/provider.py",
        "if not isinstance(told, str) or not hmac.compare_digest(told.encode(), nonce.encode()):",
        "if False:",
    ),
    Row(
        "what a provider says is said to us",
        f"{_FEDERATION}test_what_a_provider_says_counts_only_when_it_is_its_own_for_us_now_and_of_this_login",
        "auth/authority/provider.py",
        "if not isinstance(audience, list) or self.outside.client_id not in audience:",
        "if False:",
    ),
    Row(
        "a login with a provider is of this browser",
        f"{_FEDERATION}test_a_login_counts_once_in_the_browser_that_began_it_at_its_own_provider",
        "auth/authority/federation.py",
        "begun is None or begun.browser != browser.key or",
        "begun is None or",
    ),
    Row(
        "what was taken back is asked for at the door",
        f"{_DOOR}test_who_was_added_is_let_in_with_groups_and_removed_is_out_within_seconds",
        "auth/authority/source.py",
        '        if grant is None:\n            raise BadToken("what it came of has ended")\n',
        "",
    ),
    Row(
        "only what the server signed is its own",
        f"{_DOOR}test_a_token_for_one_endpoint_is_good_there_alone_and_none_can_be_made_up",
        "auth/authority/source.py",
        "        jws.verify(signed, key)\n",
        "",
    ),
    Row(
        "documents are fetched within reach",
        f"{_DOOR}test_a_document_is_not_fetched_from_where_we_should_not_reach",
        "config/authority.py",
        "fetch=fetch_within(Reach[config.documents_reach.upper()])",
        "fetch=fetch_within(Reach.LOOPBACK)",
    ),
)
