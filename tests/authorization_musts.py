"""What the specification says that a server or a proxy MUST do about authorization, and the tests that show it.

Rows of revision 2026-07-28: `basic/authorization/*` and `tutorials/security/security_best_practices` (SBP); what it demands of clients
stands in `musts_of_clients`. Imports nothing of ours. `python tests/authorization_musts.py` writes docs/authorization.md.
"""

from typing import Literal, NamedTuple

import musts_of_clients


class Must(NamedTuple):
    section: str
    says: str
    who: Literal["server", "authority", "proxy", "client"]
    """Server: the gateway's door, as OAuth resource server. Authority: the embedded authorization server. Proxy: what stands
    between callers and upstreams. Client: ours, when we call."""
    tests: tuple[str, ...] = ()
    """`path::test_name`, from the root of the repository. None: nothing shows it yet."""


_IDENTITY, _CREDENTIALS = "tests/frontdoor/test_identity.py::", "tests/frontdoor/test_credentials.py::"
_BAD_TOKENS = f"{_IDENTITY}test_tokens_that_do_not_hold_are_refused_audited_and_reach_nobody"
_METADATA = f"{_IDENTITY}test_who_has_no_token_is_told_where_to_get_one_and_that_page_names_exactly_this_endpoint"
_ENDPOINT = f"{_IDENTITY}test_a_token_is_good_at_the_endpoint_it_was_issued_for_and_at_no_other"
_SCOPES = f"{_IDENTITY}test_a_call_beyond_the_scopes_of_its_token_is_told_all_it_needs_and_goes_through_with_them"
_IN_URL = f"{_IDENTITY}test_a_token_in_the_url_or_in_two_headers_is_refused_and_reaches_nobody"
_PASSED_ON = f"{_IDENTITY}test_the_token_of_a_caller_is_never_sent_to_a_server_behind"
_SESSION = f"{_CREDENTIALS}test_a_session_belongs_to_who_opened_it_and_is_no_credential"
_AUTHORITY = "tests/auth/authority/"
_CONNECT, _APART = "tests/auth/test_connect.py::", "tests/frontdoor/test_users_apart.py::"
_UPSTREAMS = "tests/frontdoor/test_upstream_tokens.py::"

MUSTS = (
    Must("index: Standards, 4", "servers implement Protected Resource Metadata (RFC 9728)", "server", (_METADATA,)),
    Must(
        "index: Access Token Usage, 1",
        "a token comes in the Authorization header of every request",
        "server",
        (_IN_URL,),
    ),
    Must("index: Access Token Usage, 2", "a token is not in the query of a URL", "server", (_IN_URL,)),
    Must("index: Token Handling", "tokens are validated as OAuth 2.1 §5.2 says", "server", (_BAD_TOKENS,)),
    Must(
        "index: Token Handling",
        "tokens were issued for this server as their audience",
        "server",
        (_BAD_TOKENS, _ENDPOINT),
    ),
    Must("index: Token Handling", "invalid and expired tokens are answered 401", "server", (_BAD_TOKENS,)),
    Must("index: Token Handling", "only tokens for the server's own resources are accepted", "server", (_ENDPOINT,)),
    Must("index: Token Handling", "no other tokens are accepted or passed on", "server", (_BAD_TOKENS, _PASSED_ON)),
    Must(
        "index: Error Handling",
        "401, 403 and 400 say what is wrong with authorization",
        "server",
        (_BAD_TOKENS, _SCOPES, _IN_URL),
    ),
    Must(
        "index: Runtime Insufficient Scope", "all scopes an operation needs are in one challenge", "server", (_SCOPES,)
    ),
    Must("index: Step-Up", "a broader scope implies the narrower ones", "server", (_SCOPES,)),
    Must("discovery: Server Location", "the metadata name at least one authorization server", "server", (_METADATA,)),
    Must(
        "discovery: Server Location",
        "the metadata are found by WWW-Authenticate or at a well-known path",
        "server",
        (_METADATA,),
    ),
    Must(
        "security: Token Audience",
        "a token is judged before the request is processed, and nothing is told to others",
        "server",
        (_BAD_TOKENS,),
    ),
    Must(
        "security: Access Token Privilege Restriction",
        "tokens without this server in their audience are rejected",
        "server",
        (_BAD_TOKENS, _ENDPOINT),
    ),
    Must(
        "security: Access Token Privilege Restriction",
        "the token of a caller is not passed through",
        "proxy",
        (_PASSED_ON,),
    ),
    Must(
        "security: Token Theft",
        "refresh tokens of public clients are rotated",
        "authority",
        (f"{_AUTHORITY}test_code.py::test_a_refresh_token_is_exchanged_once_and_seen_again_ends_its_family",),
    ),
    Must(
        "security: Open Redirection",
        "redirect URIs are compared exactly with those registered",
        "authority",
        (f"{_AUTHORITY}test_hostile_requests.py::test_a_browser_is_sent_nowhere_but_to_what_the_client_registered",),
    ),
    Must(
        "security: Communication Security, 2",
        "redirect URIs are https or this machine's",
        "authority",
        (f"{_AUTHORITY}test_redirects.py::test_what_may_be_registered_is_read_in_one_way",),
    ),
    Must(
        "security: Confused Deputy",
        "each client needs the user's consent of its own",
        "authority",
        (f"{_AUTHORITY}test_hostile_requests.py::test_consent_is_asked_once_for_each_client_person_and_scope",),
    ),
    Must(
        "SBP: Confused Deputy, consent page",
        "the page says who, what for, and where tokens go",
        "authority",
        (f"{_AUTHORITY}test_hostile_requests.py::test_the_page_of_consent_says_who_what_and_where",),
    ),
    Must(
        "SBP: Confused Deputy, consent page",
        "forms are protected against forgery",
        "authority",
        (
            f"{_AUTHORITY}test_hostile_requests.py::test_a_form_counts_once_in_the_browser_it_was_shown_in_and_not_for_long",
        ),
    ),
    Must(
        "SBP: Confused Deputy, consent page",
        "pages cannot be framed",
        "authority",
        (f"{_AUTHORITY}test_hostile_requests.py::test_pages_cannot_be_framed_nor_made_to_load_or_run_anything",),
    ),
    Must(
        "SBP: Confused Deputy, state",
        "a login at a third party counts once, in the browser that began it",
        "authority",
        (f"{_AUTHORITY}test_federation.py::test_a_login_counts_once_in_the_browser_that_began_it_at_its_own_provider",),
    ),
    Must(
        "index: Standards, 1",
        "OAuth 2.1 is implemented for public and confidential clients",
        "authority",
        (
            f"{_AUTHORITY}test_code.py::test_a_person_logs_in_agrees_and_the_client_gets_a_token_for_this_gateway",
            f"{_AUTHORITY}test_hostile_requests.py::test_a_client_with_a_secret_must_show_it_in_the_way_it_registered",
            f"{_AUTHORITY}test_hostile_requests.py::test_a_client_that_asks_wrongly_is_told_with_its_state_and_our_issuer",
        ),
    ),
    Must(
        "index: Standards, 5",
        "its metadata are found (RFC 8414 or OpenID Connect Discovery)",
        "authority",
        (f"{_AUTHORITY}test_code.py::test_the_description_is_at_both_addresses_that_clients_look_at",),
    ),
    Must(
        "index: Authorization Response Validation",
        "who sends `iss` says so in its metadata",
        "authority",
        (
            f"{_AUTHORITY}test_code.py::test_the_description_is_at_both_addresses_that_clients_look_at",
            f"{_AUTHORITY}test_hostile_requests.py::test_a_client_that_asks_wrongly_is_told_with_its_state_and_our_issuer",
        ),
    ),
    Must(
        "registration: Metadata Documents",
        "the client_id of a document equals its URL",
        "authority",
        (f"{_AUTHORITY}test_clients.py::test_a_document_that_cannot_be_used_says_why",),
    ),
    Must(
        "registration: Metadata Documents",
        "redirect URIs are among those of the document",
        "authority",
        (
            f"{_AUTHORITY}test_hostile_requests.py::test_a_browser_is_sent_nowhere_but_to_what_the_client_registered",
            f"{_AUTHORITY}test_clients.py::test_a_document_that_cannot_be_used_says_why",
        ),
    ),
    Must(
        "registration: Metadata Documents",
        "a document is valid JSON with the required fields",
        "authority",
        (
            f"{_AUTHORITY}test_clients.py::test_a_document_that_cannot_be_used_says_why",
            f"{_AUTHORITY}test_clients.py::test_what_is_no_document_is_no_client_and_not_asked_for_again_at_once",
        ),
    ),
    Must(
        "security: Authorization Code Protection",
        "metadata name code_challenge_methods_supported",
        "authority",
        (f"{_AUTHORITY}test_code.py::test_the_description_is_at_both_addresses_that_clients_look_at",),
    ),
    Must(
        "security: Open Redirection",
        "nobody is sent to a URI that is not trusted",
        "authority",
        (
            f"{_AUTHORITY}test_hostile_requests.py::test_before_a_client_is_known_nobody_is_sent_anywhere",
            f"{_AUTHORITY}test_hostile_requests.py::test_a_browser_is_sent_nowhere_but_to_what_the_client_registered",
        ),
    ),
    Must(
        "security: Metadata Document Security",
        "the host of the redirect URI is shown",
        "authority",
        (f"{_AUTHORITY}test_hostile_requests.py::test_the_page_of_consent_says_who_what_and_where",),
    ),
    Must(
        "security: Metadata Document Security",
        "documents are not fetched from where nobody should reach",
        "authority",
        ("tests/frontdoor/test_logging_in.py::test_a_document_is_not_fetched_from_where_we_should_not_reach",),
    ),
    Must(
        "SBP: Confused Deputy, consent storage",
        "what each user has approved is kept, and looked at first",
        "authority",
        (f"{_AUTHORITY}test_hostile_requests.py::test_consent_is_asked_once_for_each_client_person_and_scope",),
    ),
    Must(
        "SBP: Confused Deputy, cookies",
        "cookies are `__Host-`, Secure, HttpOnly and SameSite=Lax, of sessions kept here",
        "authority",
        (
            f"{_AUTHORITY}test_hostile_requests.py::test_pages_cannot_be_framed_nor_made_to_load_or_run_anything",
            f"{_AUTHORITY}test_hostile_requests.py::test_who_logs_in_gets_another_cookie_and_who_logs_out_loses_it",
        ),
    ),
    Must(
        "SBP: Token Passthrough",
        "tokens that were not issued for the server are not accepted",
        "server",
        (_BAD_TOKENS, _ENDPOINT),
    ),
    Must("SBP: State Handle Hijacking", "all inbound requests are verified", "server", (_IN_URL, _METADATA)),
    Must(
        "SBP: State Handle Hijacking",
        "sessions are not used for authentication",
        "server",
        (_SESSION, "tests/frontdoor/test_sessions.py::test_a_session_is_no_credential"),
    ),
    Must(
        "SBP: State Handle Hijacking",
        "handles of one principal are nothing to another",
        "server",
        (_SESSION, "tests/gateway/test_deferring.py::test_a_handle_is_there_for_its_owner_alone"),
    ),
    Must(
        "SBP: Confused Deputy, per-client consent",
        "each client is agreed to by its user before anybody is sent to a third party",
        "proxy",
        (f"{_CONNECT}test_consent_is_asked_of_each_client_before_anybody_is_sent_away",),
    ),
    Must(
        "SBP: Confused Deputy, consent page",
        "it names the client, what is asked for and where one is sent, is safe from CSRF, and cannot be framed",
        "proxy",
        (
            f"{_CONNECT}test_consent_is_asked_of_each_client_before_anybody_is_sent_away",
            f"{_CONNECT}test_a_form_counts_only_where_it_was_shown_and_for_what",
            f"{_CONNECT}test_no_page_can_be_framed_cached_or_scripted_and_all_that_is_shown_is_escaped",
        ),
    ),
    Must(
        "SBP: Confused Deputy, cookies",
        "they are __Host-, Secure, HttpOnly and SameSite, and bound to one browser",
        "proxy",
        (f"{_CONNECT}test_cookies_are_for_this_host_alone_and_no_script_reads_them",),
    ),
    Must(
        "SBP: Confused Deputy, state",
        "it is made after consent, good once, for a while, and where it was given",
        "proxy",
        (
            f"{_CONNECT}test_a_state_is_good_once",
            f"{_CONNECT}test_what_comes_back_to_another_browser_or_another_user_is_worth_nothing",
            f"{_CONNECT}test_a_link_ends_with_its_time_and_a_wrong_one_was_never_there",
        ),
    ),
    Must(
        "SBP: Token Passthrough",
        "an upstream is called with a token that was given for it",
        "proxy",
        (
            f"{_UPSTREAMS}test_every_request_carries_the_gateways_own_token_and_never_the_callers",
            f"{_APART}test_in_exchange_for_each_callers_token_its_own_is_got_and_no_callers_token_goes_further",
            f"{_APART}test_each_calls_as_himself_and_what_one_has_granted_is_nothing_to_the_other",
        ),
    ),
    Must(
        "client/elicitation: URL mode, phishing",
        "who opens a link is the one it was made for",
        "proxy",
        (
            f"{_CONNECT}test_a_link_alone_binds_nobodys_account_to_whoever_it_was_made_for",
            f"{_APART}test_a_link_that_one_sends_another_is_refused_and_written_down",
        ),
    ),
    Must(
        "SBP: Local Server Compromise",
        "the exact command is shown and agreed to before it runs",
        "proxy",
        ("tests/cli/test_clients.py::test_what_is_asked_on_a_terminal_is_answered_there",),
    ),
)

OF_CLIENTS = tuple(Must(row.page, row.sentence, "client", row.tests) for row in musts_of_clients.ROWS)

_WORDS = {"server": "at the door", "authority": "authorization server", "proxy": "between", "client": "as a client"}
_HEAD = """# What the specification demands of authorization, and what shows it

Made from `tests/authorization_musts.py` and `tests/musts_of_clients.py`; each row names tests that go through a public door. Revision 2026-07-28: `index`, `discovery` and
`security` are the pages below `basic/authorization`, SBP the security best practices.

| where | what | whose | tests |
|---|---|---|---|
"""


def page() -> str:
    rows = (
        f"| {must.section} | {must.says} | {_WORDS[must.who]} | {_listed(must.tests)} |"
        for must in (*MUSTS, *OF_CLIENTS)
    )
    return _HEAD + "\n".join(rows) + "\n"


def _listed(tests: tuple[str, ...]) -> str:
    return "<br>".join(f"`{test}`" for test in tests) or "nothing yet"


if __name__ == "__main__":
    print(page(), end="")
