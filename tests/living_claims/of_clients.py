"""The controls of a client that logs in, how each is taken out, and the test that fails without it. Rows for `table`."""

from typing import NamedTuple

__all__ = ["OF_CLIENTS", "Row"]

_STORY = "tests/sdk/test_oauth.py::test_"
_DANCE = "tests/auth/test_login.py::test_"
_DISTRUST = _DANCE + "metadata_that_cannot_be_trusted_end_the_login_before_anything_is_sent"
_FOREIGN = _DANCE + "an_answer_that_is_not_from_there_is_not_used"


class Row(NamedTuple):
    control: str
    test: str
    file: str
    """Below src/douane."""
    text: str
    """It stands there exactly once."""
    instead: str


OF_CLIENTS = (
    Row(
        "metadata are of the issuer they were asked of",
        _DISTRUST,
        "auth/discovery.py",
        "if said != issuer and not (",
        "if False and not (",
    ),
    Row(
        "metadata are of the server that was called",
        _DISTRUST,
        "auth/discovery.py",
        "if not isinstance(resource, str) or not _is_for(resource, url):",
        "if not isinstance(resource, str):",
    ),
    Row(
        "nothing secret goes where it can be read on the way",
        _DISTRUST,
        "auth/dance.py",
        'if parts.scheme == "http" and not is_loopback(host):',
        "if False:",
    ),
    Row(
        "no login without PKCE",
        _DANCE + "without_pkce_nobody_is_sent_away",
        "auth/authorization.py",
        'if "S256" not in (server.code_challenge_methods_supported or ()):',
        "if False:",
    ),
    Row(
        "what comes back has the state of this login",
        _FOREIGN,
        "auth/authorization.py",
        "if not secrets.compare_digest(",
        "if False and not secrets.compare_digest(",
    ),
    Row(
        "what comes back is of the issuer the user was sent to",
        _FOREIGN,
        "auth/authorization.py",
        "if issuer is not None and issuer != pending.server.issuer:",
        "if False:",
    ),
    Row(
        "who promised an issuer in its answers has to give it",
        _FOREIGN,
        "auth/authorization.py",
        "if issuer is None and pending.server.authorization_response_iss_parameter_supported:",
        "if False:",
    ),
    Row(
        "what comes back says nothing twice",
        _FOREIGN,
        "auth/authorization.py",
        "if len(answer) != len(pairs):",
        "if False:",
    ),
    Row(
        "a client id is sent to who gave it",
        _DANCE + "a_registration_is_good_for_who_gave_it_where_it_was_made_and_until_it_ends",
        "auth/registration.py",
        "before = known.get(server.issuer)",
        "before = next(iter(known.values()), None)",
    ),
    Row(
        "a secret is sent to who gave it",
        _STORY + "what_one_authorization_server_gave_is_sent_to_no_other",
        "sdk/oauth_settings.py",
        "if self.issuer is not None and server.issuer != self.issuer:",
        "if False:",
    ),
    Row(
        "a redirect URI is https, or this machine",
        _STORY + "a_redirect_uri_that_can_be_read_on_the_way_is_not_used",
        "auth/login.py",
        'endpoint(redirect_uri, "client: its redirect URI", "use https, or this machine")',
        "pass",
    ),
    Row(
        "no token goes to a server without TLS",
        _STORY + "where_a_token_would_not_be_safe_nobody_logs_in",
        "sdk/target.py",
        'endpoint(url, "client: the server to log in to", "a token would not be safe there")',
        "pass",
    ),
    Row(
        "one refresh for all who are refused at once",
        _STORY + "fifty_calls_refused_at_once_are_one_refresh_and_each_runs_once",
        "sdk/logged_in.py",
        "if self._is_done(challenge):",
        "if False:",
    ),
    Row(
        "a refresh goes to its end",
        _STORY + "who_gives_up_in_the_middle_of_a_refresh_loses_nobodys_login",
        "sdk/logged_in.py",
        "await asyncio.shield(task)",
        "await task",
    ),
    Row(
        "one refresh among processes",
        _STORY + "processes_that_share_a_login_refresh_it_once",
        "sdk/login_store.py",
        "while not _locked(handle):",
        "while False:",
    ),
    Row(
        "scopes that were asked for are not asked for again",
        _STORY + "more_scopes_are_asked_for_beside_those_before_and_only_once",
        "sdk/logged_in.py",
        "if login is not None and set(missing) <= set(login.asked):",
        "if False:",
    ),
    Row(
        "nobody logs in in circles",
        _STORY + "a_server_that_refuses_what_was_just_granted_is_believed_and_nobody_logs_in_again",
        "sdk/logged_in.py",
        "if challenge.before > 0 and self._is_new:",
        "if False:",
    ),
    Row(
        "a kept login is its owner's to read",
        _STORY + "a_login_is_kept_for_the_next_run_and_the_registration_too",
        "sdk/login_store.py",
        "os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)",
        "os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o644)",
    ),
    Row(
        "no login is kept where others may look",
        _STORY + "a_folder_that_others_may_look_into_is_refused",
        "sdk/login_store.py",
        "if self._folder.stat().st_mode & 0o077:",
        "if False:",
    ),
    Row(
        "a browser is given pages of the web only",
        "tests/sdk/test_user_agent.py::test_nothing_but_a_web_page_is_handed_to_a_browser",
        "sdk/user_agent.py",
        'endpoint(url, "authorization server: its login page")',
        "pass",
    ),
    Row(
        "the page that waits takes the answer of its login only",
        _STORY + "an_answer_of_another_login_is_not_taken_and_the_right_one_still_is",
        "sdk/user_agent.py",
        "if states != [state] or answered.done():",
        "if answered.done():",
    ),
    Row(
        "each request has a proof of its own",
        _STORY + "a_token_bound_to_a_key_comes_with_a_proof_of_its_own_each_time_and_the_nonce_wanted",
        "auth/dpop.py",
        '"jti": str(uuid4()),',
        '"jti": "always",',
    ),
    Row(
        "what is printed shows no secret",
        _STORY + "what_is_printed_of_a_login_shows_no_secret",
        "auth/dance.py",
        "def __repr__(self)",
        "def shown(self)",
    ),
)
