"""Controls, how each is taken out, and the tests that fail without it: a test that passes either way shows nothing.

A control is taken out by edits of the source; each text to be replaced stands there exactly once. `make claims` proves each row;
`test_table.py` only looks whether rows still fit the source.
"""

from typing import NamedTuple

from .authority import AUTHORITY
from .of_clients import OF_CLIENTS

__all__ = ["CLAIMS", "Claim", "Edit"]


class Edit(NamedTuple):
    file: str
    """Below src/douane."""
    text: str
    instead: str


class Claim(NamedTuple):
    control: str
    tests: tuple[str, ...]
    """Each of them fails without the control."""
    edits: tuple[Edit, ...]


_IDENTITY, _CREDENTIALS = "tests/frontdoor/test_identity.py::", "tests/frontdoor/test_credentials.py::"
_BAD_TOKENS = f"{_IDENTITY}test_tokens_that_do_not_hold_are_refused_audited_and_reach_nobody"
_PROOFS = f"{_CREDENTIALS}test_a_token_bound_to_a_key_is_good_with_a_proof_of_this_request_and_with_nothing_else"
_KEY_SCOPES = f"{_CREDENTIALS}test_a_key_is_good_for_its_scopes_until_its_end_and_nobody_guesses_one"
_INTROSPECTED = f"{_CREDENTIALS}test_a_token_that_only_its_issuer_can_read_is_asked_about_and_believed_for_a_moment"
_REVOKE, _ACCESS = "tests/frontdoor/test_revoke.py::", "tests/frontdoor/test_access.py::"
_STREAMS = f"{_CREDENTIALS}test_a_stream_ends_when_its_token_expires_or_its_key_is_revoked"


def _one(control: str, test: str, file: str, text: str, instead: str) -> Claim:
    return Claim(control, (test,), (Edit(file, text, instead),))


CLAIMS = (
    _one("a token's signature holds", _BAD_TOKENS, "auth/jws.py", "if not holds:", "if False:"),
    _one(
        "no claim stands twice",
        _BAD_TOKENS,
        "auth/jws.py",
        "value = json.decode(unb64(part), _LIMITS)",
        "value = json._decode(unb64(part))",
    ),
    _one("critical headers are understood or refused", _BAD_TOKENS, "auth/jws.py", 'if "crit" in header:', "if False:"),
    _one(
        "a token is of the type of access tokens",
        _BAD_TOKENS,
        "auth/jwt.py",
        'if str(signed.header.get("typ", "jwt")).lower() not in _TYPES:',
        "if False:",
    ),
    _one(
        "a token is for this server",
        _BAD_TOKENS,
        "auth/jwt.py",
        "    if not found:\n",
        "    found = found or resources\n    if not found:\n",
    ),
    Claim(
        "an issuer is compared as it is written",
        (_BAD_TOKENS,),
        (
            Edit(
                "auth/jwt.py",
                'return jws.read(token).claims.get("iss") == self._issuer.name',
                'return str(jws.read(token).claims.get("iss")).rstrip("/") == self._issuer.name',
            ),
            Edit("auth/jwt.py", 'if claims.get("iss") != self._issuer.name:', "if False:"),
        ),
    ),
    _one(
        "a token has an end",
        _BAD_TOKENS,
        "auth/claims.py",
        '    if ends_s is None:\n        raise BadToken("it has no end")',
        "    if ends_s is None:\n        return now_s + 60",
    ),
    _one("a token ends", _BAD_TOKENS, "auth/claims.py", "if ends_s + LEEWAY_S <= now_s:", "if False:"),
    _one(
        "a token is good already",
        _BAD_TOKENS,
        "auth/claims.py",
        "at_s - LEEWAY_S > now_s",
        "at_s - LEEWAY_S > now_s + 10**6",
    ),
    _one(
        "clocks are a minute apart at most",
        f"{_IDENTITY}test_clocks_may_be_a_minute_apart_and_no_more",
        "auth/claims.py",
        "LEEWAY_S = 60.0",
        "LEEWAY_S = 600.0",
    ),
    _one("a subject can be shown", _BAD_TOKENS, "auth/claims.py", " or not value.isprintable():", ":"),
    _one(
        "nobody becomes the owner by a name",
        _BAD_TOKENS,
        "auth/jwt.py",
        "if identity.subject in self._issuer.reserved:",
        "if False:",
    ),
    _one(
        "what a token is bound to is understood",
        _BAD_TOKENS,
        "auth/jwt.py",
        "if not isinstance(confirmed, dict) or not confirmed or not confirmed.keys() <= known:",
        "if not isinstance(confirmed, dict):",
    ),
    _one("who is refused is in the audit", _BAD_TOKENS, "gateway/admit.py", "if denied.recorded:", "if False:"),
    _one(
        "a token is good at its endpoint alone",
        f"{_IDENTITY}test_a_token_is_good_at_the_endpoint_it_was_issued_for_and_at_no_other",
        "auth/admission.py",
        "if shown.resource not in found.resources:",
        "if False:",
    ),
    _one(
        "an issuer is not asked for each unknown key",
        f"{_IDENTITY}test_keys_are_read_again_when_the_issuer_changes_them_once_for_all_who_wait",
        "auth/keys.py",
        "_AGAIN_S = 30.0",
        "_AGAIN_S = 0.0",
    ),
    _one(
        "a call needs the scopes of what it does",
        f"{_IDENTITY}test_a_call_beyond_the_scopes_of_its_token_is_told_all_it_needs_and_goes_through_with_them",
        "interceptors/scopes.py",
        "if writing <= has or (reads and reading <= has):",
        "if True:",
    ),
    _one(
        "a token in a URL is refused",
        f"{_IDENTITY}test_a_token_in_the_url_or_in_two_headers_is_refused_and_reaches_nobody",
        "gateway/admit.py",
        'if request.query and b"access_token=" in request.query:',
        "if False:",
    ),
    _one(
        "a flood of wrong tokens is held back",
        f"{_IDENTITY}test_a_flood_of_wrong_tokens_from_one_place_is_held_back_and_who_is_known_still_comes_in",
        "auth/tokens.py",
        "if over_s > 0 else None",
        "if False else None",
    ),
    _one(
        "a bound token is no bearer token",
        _PROOFS,
        "auth/admission.py",
        "if key is not None and not shown.held:",
        "if key is not None and not shown.held and shown.proof:",
    ),
    _one("a proof is good once", _PROOFS, "auth/proofs.py", "if mark in self._used:", "if False:"),
    _one(
        "a proof is good once on a connection that repeats its head",
        f"{_CREDENTIALS}test_a_proof_is_not_good_again_on_the_same_connection_either",
        "sdk/http_door.py",
        'until_s if b"dpop" not in request.headers else 0.0,',
        "until_s,",
    ),
    _one(
        "a proof is of the key the token is bound to",
        _PROOFS,
        "auth/proofs.py",
        "if key.key.thumbprint() != thumbprint:",
        "if False:",
    ),
    _one("a proof is for its method", _PROOFS, "auth/proofs.py", 'if claims.get("htm") != method:', "if False:"),
    _one(
        "a proof is for its URL",
        _PROOFS,
        "auth/proofs.py",
        "if not isinstance(named, str) or _plain(named) != _plain(url):",
        "if False:",
    ),
    _one(
        "a proof is for its token",
        _PROOFS,
        "auth/proofs.py",
        'if claims.get("ath") != jws.b64(hashlib.sha256(token.encode("latin-1")).digest()):',
        "if False:",
    ),
    _one(
        "a proof was made now",
        _PROOFS,
        "auth/proofs.py",
        "if made_s is None or abs(self._now() - made_s) > LEEWAY_S:",
        "if False:",
    ),
    _one(
        "a token bound to a certificate needs it",
        f"{_CREDENTIALS}test_a_token_bound_to_a_certificate_is_good_only_with_it",
        "auth/admission.py",
        "if certificate is not None and certificate != shown.certificate:",
        "if False:",
    ),
    _one(
        "only trusted proxies tell of certificates",
        f"{_CREDENTIALS}test_a_certificate_lets_its_holder_in_when_a_trusted_proxy_tells_of_it_and_only_then",
        "gateway/admit.py",
        "return any(ip in network for network in self._proxies)",
        "return ip is not None",
    ),
    _one(
        "a key is known by its secret",
        _KEY_SCOPES,
        "auth/api_keys.py",
        " or not hmac.compare_digest(key.digest, _digest(secret)):",
        ":",
    ),
    _one("a key ends", _KEY_SCOPES, "auth/api_keys.py", "if key.ends_s <= now_s:", "if False:"),
    _one(
        "a revoked key is refused within seconds",
        f"{_CREDENTIALS}test_a_key_is_shown_once_lets_its_program_in_and_is_refused_within_seconds_once_revoked",
        "auth/api_keys.py",
        "_LOOK_AGAIN_S = 2.0",
        "_LOOK_AGAIN_S = 60.0",
    ),
    _one(
        "an answer about a token is exactly true",
        _INTROSPECTED,
        "auth/introspection.py",
        'if said.get("active") is not True:',
        'if not said.get("active"):',
    ),
    _one(
        "our own tokens are sent to nobody",
        _INTROSPECTED,
        "auth/introspection.py",
        "_OURS = (api_keys.PREFIX, first_token.PREFIX)",
        "_OURS: tuple[str, ...] = ()",
    ),
    _one(
        "a stream ends with its token",
        _STREAMS,
        "sdk/held.py",
        "return self._admit(one.request) == one.principal",
        "return True",
    ),
    _one(
        "nobody of one issuer has the name of somebody from elsewhere",
        "tests/config/test_load.py::test_each_bad_file_is_refused_in_the_words_beside_it",
        "config/auth_checks.py",
        "if any(_overlap(issuer.prefix, prefix) for prefix in known):",
        "if False:",
    ),
    _one(
        "a session is its opener's",
        f"{_CREDENTIALS}test_a_session_belongs_to_who_opened_it_and_is_no_credential",
        "sdk/client_sessions.py",
        "session.principal.identity != principal.identity",
        "False",
    ),
    _one(
        "calls under way are judged by the rules in force",
        f"{_REVOKE}test_what_is_revoked_is_cut_off_within_five_seconds_with_what_is_under_way",
        "gateway/app.py",
        "self.withdraw(self._judge)",
        "pass",
    ),
    _one(
        "calls under way end with the credential they were made with",
        f"{_REVOKE}test_a_key_is_removed_and_what_is_under_way_with_it_is_cut_off",
        "config/noted.py",
        'if one.act not in TAKEN or one.of not in ("key", "login", "grant"):',
        "if True:",
    ),
    _one(
        "tasks of who is cut off are ended at their upstreams",
        f"{_REVOKE}test_the_tasks_of_who_is_cut_off_are_ended_at_their_upstreams",
        "gateway/app.py",
        "self._ended_tasks.withdraw(judge)",
        "pass",
    ),
    _one(
        "the logins of a revoked user end",
        f"{_REVOKE}test_the_logins_of_a_user_or_a_client_end_with_the_rule",
        "config/cutting.py",
        "ended = await end_given(records, name)",
        "ended = 0",
    ),
    _one(
        "the logins of a revoked client end",
        f"{_REVOKE}test_the_logins_of_a_user_or_a_client_end_with_the_rule",
        "config/cutting.py",
        "ended = await end_client(records, name)",
        "ended = 0",
    ),
    _one(
        "a revoked grant is gone",
        f"{_REVOKE}test_a_grant_is_removed_and_its_user_is_asked_again",
        "config/taking.py",
        "there = await vault.drop(holding) or there",
        "there = True",
    ),
    _one(
        "who changed access is in the audit",
        f"{_REVOKE}test_what_was_done_while_no_gateway_ran_is_in_the_audit_once_one_does",
        "config/noted.py",
        "await self._log.write(leaf, ",
        "_ = (leaf, ",
    ),
    _one(
        "what a review withdraws is taken away",
        f"{_ACCESS}test_a_review_is_a_snapshot_whose_parts_are_confirmed_or_withdrawn_and_written_down",
        "config/reviews.py",
        'there = await take_away(paths, records, item.given, why or f"access review {review}")',
        "there = True",
    ),
    *(_one(*row) for row in AUTHORITY),
    *(_one(*row) for row in OF_CLIENTS),
)
