"""The controls of credentials for upstreams; see `table`."""

from .table import Claim, Edit

__all__ = ["UPSTREAMS"]

_CONNECT, _GRANTS = "tests/auth/test_connect.py::", "tests/auth/test_grants.py::"
_OWN, _BOUND = "tests/gateway/test_own_sessions.py::", "tests/frontdoor/test_bound_secrets.py::"
_APART = "tests/frontdoor/test_users_apart.py::"


def one(control: str, test: str, file: str, text: str, instead: str) -> Claim:
    return Claim(control, (test,), (Edit(file, text, instead),))


UPSTREAMS = (
    Claim(
        "a row of the vault opens under its own name alone",
        (f"{_GRANTS}test_a_row_that_was_moved_to_another_principal_opens_nothing",),
        (
            Edit("auth/grants.py", 'return f"grant {key}"', 'return "grant"'),
            Edit("auth/grants.py", "if self._key(content.holding) != record.key or (", "if False and ("),
        ),
    ),
    one(
        "what is refreshed elsewhere is waited for",
        f"{_GRANTS}test_of_two_processes_that_refresh_at_once_one_does_and_the_other_reads",
        "auth/grants.py",
        "if held.claimed_until_s > self._now():",
        "if False:",
    ),
    one(
        "a link is for whom it was made",
        f"{_CONNECT}test_a_link_alone_binds_nobodys_account_to_whoever_it_was_made_for",
        "auth/connect/pages.py",
        "if visitor.owner != ticket.owner:",
        "if False:",
    ),
    Claim(
        "a login comes back to the browser it left from",
        (f"{_CONNECT}test_what_comes_back_to_another_browser_or_another_user_is_worth_nothing",),
        (
            Edit("auth/connect/tickets.py", "not secrets.compare_digest(departure.browser, browser)", "False"),
            Edit("auth/connect/pages.py", "or visitor.owner != departure.ticket.owner", "or False"),
        ),
    ),
    one(
        "a state is good once",
        f"{_CONNECT}test_a_state_is_good_once",
        "auth/connect/tickets.py",
        "await self._records.take(_DEPARTURE, key, version=record.version)",
        "pass",
    ),
    one(
        "each client of a user is agreed to",
        f"{_CONNECT}test_consent_is_asked_of_each_client_before_anybody_is_sent_away",
        "auth/user_grants.py",
        "return None if await self._is_allowed(owner, client) else frozenset()",
        "return None",
    ),
    one(
        "consent is given on the page it was asked on",
        f"{_CONNECT}test_a_form_counts_only_where_it_was_shown_and_for_what",
        "auth/connect/pages.py",
        "if shown != ticket.key or said",
        "if said",
    ),
    one(
        "a link ends with its time",
        f"{_CONNECT}test_a_link_ends_with_its_time_and_a_wrong_one_was_never_there",
        "auth/connect/tickets.py",
        "version=version, expires_s=until_s",
        "version=version",
    ),
    one(
        "a session carries the credentials of one",
        f"{_OWN}test_of_ten_thousand_interleaved_calls_of_fifty_users_none_carries_anothers_credentials",
        "gateway/own_sessions.py",
        "        who = call.principal\n",
        "        who = next(iter(self._opened), call.principal)\n",
    ),
    one(
        "what was opened as the gateway is given to nobody",
        f"{_OWN}test_a_session_that_was_opened_to_list_is_given_to_nobody",
        "gateway/leases.py",
        " and self._owner is _identity",
        "",
    ),
    one(
        "the token of the first start is exchanged nowhere",
        f"{_APART}test_in_exchange_for_each_callers_token_its_own_is_got_and_no_callers_token_goes_further",
        "config/upstream_auth.py",
        "return token.startswith((api_keys.PREFIX, first_token.PREFIX)) or (",
        "return False and (",
    ),
    one(
        "a token that is refused is not asked for without an end",
        "tests/frontdoor/test_user_grants.py::test_an_upstream_that_refuses_whatever_was_granted_is_told_no_end_of_it",
        "auth/user_grants.py",
        "if challenge.before or self._grants.now() - self._refused_s < _JUST_S:",
        "if False:",
    ),
    one(
        "the log sees the name of a secret",
        f"{_BOUND}test_the_server_gets_the_secret_and_neither_caller_nor_log_nor_policy_do",
        "interceptors/bind.py",
        "return replace(call, params=_with(call.params, {path: s.reference for",
        "return replace(call, params=_with(call.params, {path: s.value for",
    ),
    one(
        "a secret that comes back is masked",
        f"{_BOUND}test_a_secret_in_an_error_an_event_or_another_result_is_masked",
        "interceptors/bind.py",
        "return _masked_outcome(outcome, masks)",
        "return outcome",
    ),
    one(
        "no secret goes into a header",
        f"{_BOUND}test_a_secret_that_its_tool_wants_in_a_header_is_not_sent_at_all",
        "interceptors/bind.py",
        "if path in in_headers:",
        "if False:",
    ),
)
