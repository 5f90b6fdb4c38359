"""What the specification of authorization demands of clients, 2026-07-28, and the tests that show it.

By page of `basic/authorization`; SBP is the page of security best practices.
"""

from typing import NamedTuple

__all__ = ["ROWS", "Must"]

_STORY = "tests/sdk/test_oauth.py::test_"
_DANCE = "tests/auth/test_login.py::test_"
_SUITE = "tests/conformance/test_tally.py::test_the_scenarios_of_authorization_pass_those_that_are_not_scored_too"
_BROWSER = "a_user_logs_in_in_his_browser_and_the_call_goes_on"
_DISTRUST = "metadata_that_cannot_be_trusted_end_the_login_before_anything_is_sent"
_FOREIGN = "an_answer_that_is_not_from_there_is_not_used"


class Must(NamedTuple):
    page: str
    sentence: str
    """In short."""
    tests: tuple[str, ...]


def _must(page: str, sentence: str, *tests: str) -> Must:
    return Must(page, sentence, tests)


ROWS = (
    _must(
        "index",
        "use protected resource metadata to find the authorization server",
        _STORY + _BROWSER,
        _SUITE,
    ),
    _must(
        "index",
        "support RFC 8414 and OpenID Connect Discovery",
        _DANCE + "every_place_of_an_issuer_with_a_path_is_tried_in_the_order_of_the_specification",
        _SUITE,
    ),
    _must(
        "index",
        "get a client id in one of the three ways",
        _DANCE + "a_client_id_given_by_hand_comes_first_then_a_document_then_registration",
        _DANCE + "without_a_client_id_nobody_is_sent_away",
    ),
    _must(
        "index",
        "take the scopes of the challenge as they are, whatever `scopes_supported` says",
        _DANCE + "what_is_needed_is_asked_for_and_what_was_asked_for_before",
        _STORY + "more_scopes_are_asked_for_beside_those_before_and_only_once",
    ),
    _must(
        "index",
        "record the validated issuer before the user is sent away, with the verifier and the state",
        _DANCE + "who_waits_in_another_process_has_all_it_needs",
        _DANCE + _FOREIGN,
    ),
    _must("index", "validate `iss` before the code goes to any token endpoint", _DANCE + _FOREIGN, _SUITE),
    _must("index", "compare `iss` as a string, without normalising it", _DANCE + _FOREIGN, _SUITE),
    _must(
        "index",
        "neither act on nor show the error of another issuer",
        _DANCE + "nothing_is_shown_of_an_error_that_another_issuer_may_have_written",
    ),
    _must(
        "index",
        "send `resource`, the canonical URI of the server, with both requests, supported or not",
        _STORY + _BROWSER,
        _DANCE + "a_user_is_sent_away_with_all_that_is_compared_when_he_comes_back",
        _DANCE + "who_waits_in_another_process_has_all_it_needs",
    ),
    _must(
        "index",
        "send the token in the Authorization header, with every request, and in no URL",
        _STORY + "a_session_of_the_handshake_era_is_let_in_on_every_way_it_has",
        _STORY + "a_server_of_http_sse_is_logged_in_to_and_refreshed_on_its_posts",
    ),
    _must(
        "index",
        "send the server no token but of its authorization server",
        _DANCE + _DISTRUST,
        _STORY + "what_one_authorization_server_gave_is_sent_to_no_other",
        _SUITE,
    ),
    _must(
        "index",
        "keep refresh tokens confidential, in transit and where they are kept",
        _STORY + "a_login_is_kept_for_the_next_run_and_the_registration_too",
        _STORY + "a_folder_that_others_may_look_into_is_refused",
        _STORY + "what_is_printed_of_a_login_shows_no_secret",
        _DANCE + _DISTRUST,
    ),
    _must(
        "index",
        "do not rely on a refresh token",
        _STORY + "a_program_logs_in_by_its_secret_and_again_when_its_token_has_ended",
        _DANCE + "a_refresh_keeps_the_old_refresh_token_only_where_no_new_one_comes",
    ),
    _must(
        "authorization-server-discovery",
        "take the metadata named in the challenge; else ask below the path, then at the root",
        _DANCE + "a_server_that_names_its_metadata_is_asked_there_and_nowhere_else",
        _DANCE + "else_its_own_path_comes_first_and_then_the_root",
    ),
    _must(
        "authorization-server-discovery",
        "read WWW-Authenticate, and answer a 401",
        "tests/auth/test_challenge.py::test_every_way_to_write_a_challenge_is_read",
        _STORY + _BROWSER,
    ),
    _must(
        "authorization-server-discovery",
        "try the well-known places in their order, with and without a path",
        _DANCE + "every_place_of_an_issuer_with_a_path_is_tried_in_the_order_of_the_specification",
        _DANCE + "a_server_that_names_its_metadata_is_asked_there_and_nowhere_else",
    ),
    _must(
        "authorization-server-discovery",
        "use no metadata whose issuer is not the one they were asked of",
        _DANCE + _DISTRUST,
        _DANCE + "an_issuer_may_end_in_a_slash_if_all_say_so",
        _SUITE,
    ),
    _must(
        "authorization-server-discovery",
        "keep client credentials and tokens apart by authorization server",
        _DANCE + "a_registration_is_good_for_who_gave_it_where_it_was_made_and_until_it_ends",
        _SUITE,
    ),
    _must(
        "client-registration",
        "a `client_id` that is a URL is https and has a path",
        _DANCE + "without_a_client_id_nobody_is_sent_away",
    ),
    _must(
        "client-registration",
        "say which `application_type` it is",
        _DANCE + "a_client_id_given_by_hand_comes_first_then_a_document_then_registration",
        _SUITE,
    ),
    _must(
        "client-registration",
        "be ready for a registration that is refused for its redirect URI",
        _DANCE + "without_a_client_id_nobody_is_sent_away",
    ),
    _must(
        "client-registration",
        "key credentials by issuer; register anew where it changes, and send none to another",
        _DANCE + "a_registration_is_good_for_who_gave_it_where_it_was_made_and_until_it_ends",
        _STORY + "what_one_authorization_server_gave_is_sent_to_no_other",
        _SUITE,
    ),
    _must("security-considerations", "speak to authorization servers over https only", _DANCE + _DISTRUST),
    _must(
        "security-considerations",
        "come back to `localhost` or over https only, to a registered redirect URI",
        _STORY + _BROWSER,
        _STORY + "a_redirect_uri_that_can_be_read_on_the_way_is_not_used",
    ),
    _must(
        "security-considerations",
        "use PKCE with S256, and refuse where metadata do not promise it",
        _DANCE + "without_pkce_nobody_is_sent_away",
        _STORY + _BROWSER,
        _SUITE,
    ),
    _must(
        "security-considerations",
        "drop what comes back without the state that was sent",
        _STORY + "an_answer_of_another_login_is_not_taken_and_the_right_one_still_is",
        _DANCE + _FOREIGN,
    ),
    _must(
        "SBP",
        "open http and https URLs only, and none through a shell",
        _DANCE + _DISTRUST,
        "tests/sdk/test_user_agent.py::test_nothing_but_a_web_page_is_handed_to_a_browser",
    ),
    _must(
        "SBP",
        "guard against being sent to addresses inside (SSRF), redirects too",
        "tests/sdk/test_fetching.py::test_what_is_out_of_reach_is_not_even_connected_to",
        "tests/sdk/test_fetching.py::test_an_answer_is_a_value_and_a_redirect_is_an_answer",
        "tests/sdk/test_fetching.py::test_what_is_no_url_of_the_web_is_refused",
    ),
    _must("SBP", "check every URL that a server names", _DANCE + _DISTRUST),
)
