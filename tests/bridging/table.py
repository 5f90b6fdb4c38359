"""Each feature in each of the four cells, and each trap: what happens, and the tests that show it.

A cell is named by the era of the client and that of the server. A test is a node id below `tests/`; without brackets
it stands for all its parameters. `run` runs exactly these, `page` writes nothing of a test that has not passed.
"""

from collections.abc import Mapping, Sequence

import msgspec

CELLS = ("handshake → handshake", "newest → handshake", "handshake → newest", "newest → newest")
WORKS = "works"
NOT_SHOWN = "not shown"


class Cell(msgspec.Struct, frozen=True):
    happens: str
    tests: tuple[str, ...]


class Row(msgspec.Struct, frozen=True):
    """A feature with its four cells in the order of CELLS."""

    feature: str
    cells: tuple[Cell, Cell, Cell, Cell]


class Trap(msgspec.Struct, frozen=True):
    number: int
    trap: str
    tests: tuple[str, ...]
    why_not: str = ""


def _works(*tests: str) -> Cell:
    return Cell(WORKS, tests)


def _by_back(feature: str, test: str, handshake: str, newest: str) -> Row:
    """A test that has clients of both eras, and the era of the server for a parameter."""
    old, new = _works(f"{test}[{handshake}]"), _works(f"{test}[{newest}]")
    return Row(feature, (old, old, new, new))


def _four(feature: str, test: str, names: Sequence[str]) -> Row:
    first, second, third, fourth = (_works(f"{test}[{name}]") for name in names)
    return Row(feature, (first, second, third, fourth))


def _said(feature: str, test: str, said: Sequence[str]) -> Row:
    """A test in all four cells, and what it shows in each."""
    first, second, third, fourth = (Cell(one, (f"{test}[{cell}]",)) for one, cell in zip(said, _ERAS, strict=True))
    return Row(feature, (first, second, third, fourth))


_EVENTS, _QUESTIONS = "frontdoor/test_events.py::", "frontdoor/test_questions.py::"
_INTERACTIVE = "gateway/test_interactive.py::"
_BAD, _NOW = "frontdoor/test_bad_input.py::", "frontdoor/test_allowed_now.py::"
_ANSWERS = "counterparts/test_questions.py::test_the_official_client_answers_what_official_servers_ask"
_FOUR = ("http-legacy-1-stdio", "http-auto-1-stdio", "http-legacy-2-stdio", "http-auto-2-stdio")
_ERAS = ("handshake-handshake", "newest-handshake", "handshake-newest", "newest-newest")
_SUBSCRIBED = "frontdoor/test_subscriptions.py::"
_HERE, _SCRIPTED = "bridging/test_cells.py::", "bridging/test_scripted_cells.py::"
_STREAMS, _SPRUNG = "bridging/test_stream_cells.py::", "bridging/test_traps.py::"
_LINES = ("upstream-2025-True", "upstream-2025-False", "upstream-2026-True", "upstream-2026-False")

_OLDER_TASKS = (
    "counterparts/test_tasks.py::test_a_server_of_2025_11_25_runs_tasks_for_every_client_of_the_gateway[stdio]"
)
_TASKS = "counterparts/test_tasks.py::test_the_official_clients_look_after_tasks_through_the_gateway"

ROWS = (
    _four("discovery and handshake", _HERE + "test_a_client_is_told_what_there_is_in_the_way_of_its_era", _ERAS),
    _by_back(
        "every revision of the handshake, and the newest",
        "frontdoor/test_sessions.py::test_a_server_of_every_revision_serves_clients_of_every_revision",
        "2025-11-25",
        "modern",
    ),
    _four("lists of tools, prompts, resources and templates", _HERE + "test_every_list_has_what_the_server_has", _ERAS),
    _four("pages of the lists", _SCRIPTED + "test_pages_are_read_to_the_last_behind_and_cut_anew_in_front", _ERAS),
    _by_back(
        "`list_changed`",
        _SUBSCRIBED + "test_a_list_that_changed_is_told_to_who_asked_for_it",
        "handshake",
        "stateless",
    ),
    _four("tools/call", _HERE + "test_a_tool_is_called_and_answers", _ERAS),
    _four("structured output", _HERE + "test_a_structured_result_comes_back_under_the_schema_that_was_listed", _ERAS),
    _said(
        "structured output that is no object",
        _SCRIPTED + "test_a_structured_result_that_is_no_object_is_text_to_clients_that_know_objects_only",
        ("told as text, the schema is left out", WORKS, "told as text, the schema is left out", WORKS),
    ),
    _four("prompts/get", _HERE + "test_a_prompt_is_filled_in", _ERAS),
    _four("resources/read", _HERE + "test_a_resource_is_read_by_its_uri_and_by_that_of_a_template", _ERAS),
    _four("completions", _HERE + "test_a_completion_comes_from_the_server", _ERAS),
    _by_back(
        "progress, over HTTP",
        _EVENTS + "test_progress_comes_in_order_under_the_callers_token_and_before_the_answer",
        "upstream-2025",
        "upstream-2026",
    ),
    _by_back(
        "progress, on a line",
        _EVENTS + "test_progress_and_answers_pass_on_lines_of_both_eras",
        "upstream-2025",
        "upstream-2026",
    ),
    _by_back(
        "log messages of a call",
        _EVENTS + "test_log_messages_reach_the_caller_that_wants_them_from_its_level_up",
        "upstream-2025",
        "upstream-2026",
    ),
    _four("cancelling, over HTTP", _STREAMS + "test_a_call_is_cancelled_by_each_side_in_its_own_way", _ERAS),
    _four("cancelling, on a line", _EVENTS + "test_the_notification_cancels_on_a_line", _LINES),
    _four("an unknown tool", _HERE + "test_an_unknown_tool_is_an_error_of_the_protocol", _ERAS),
    _said(
        "an unknown resource",
        _HERE + "test_an_unknown_resource_is_an_error_by_the_code_of_the_clients_era",
        ("error -32002", "error -32602", "error -32002", "error -32602"),
    ),
    _four(
        "errors of the server",
        _SCRIPTED + "test_an_error_of_the_server_is_told_as_it_said_it_unless_it_is_of_its_own_hop",
        _ERAS,
    ),
    _four("sampling", _ANSWERS, _FOUR),
    _four("elicitation, form", _ANSWERS, _FOUR),
    _four("elicitation, url", _ANSWERS, _FOUR),
    _said(
        "a page that a call needs first",
        _SCRIPTED + "test_a_page_that_a_call_needs_is_a_question_where_the_era_of_the_server_has_that_error",
        ("a question", "a question", *("error -32042, as the server said it",) * 2),
    ),
    _four("roots", _ANSWERS, _FOUR),
    _four("prompts/get, with a question", _ANSWERS, _FOUR),
    _four("resources/read, with a question", _ANSWERS, _FOUR),
    _by_back(
        "resource subscriptions",
        _SUBSCRIBED + "test_what_many_want_to_hear_of_is_asked_for_once_and_told_to_all",
        "handshake",
        "stateless",
    ),
    Row("tasks", (_works(_OLDER_TASKS), _works(_OLDER_TASKS), _works(_TASKS), _works(_TASKS))),
    _said(
        "caching hints",
        _HERE + "test_hints_for_caches_are_said_to_the_newest_alone",
        ("left out", WORKS, "left out", WORKS),
    ),
    _said(
        "`x-mcp-header`",
        _SCRIPTED + "test_arguments_are_mirrored_into_headers_by_whoever_is_of_the_newest_era",
        (
            "none on either side",
            "checked in front, not sent behind",
            "none in front, mirrored behind",
            "checked in front, mirrored anew behind",
        ),
    ),
    _said(
        "`x-mcp-header` that breaks the rules, servers over HTTP",
        _SCRIPTED + "test_arguments_that_are_marked_wrongly_take_away_a_tool_of_the_newest_era_only",
        ("the mark is taken off", "the mark is taken off", "the tool is left out", "the tool is left out"),
    ),
    _said(
        "sessions over HTTP",
        _SCRIPTED + "test_sessions_are_of_the_handshake_on_each_side_and_never_one_and_the_same",
        ("one on each side", "none in front, one behind", "one in front, none behind", "none"),
    ),
    _said(
        "a stream lost in mid-call, in front of the gateway",
        _STREAMS + "test_a_stream_that_is_lost_in_mid_call_is_taken_up_again_or_was_the_call",
        (
            "taken up again, with `Last-Event-ID`",
            "cancels the call; GET is refused with 405",
            "taken up again, with `Last-Event-ID`",
            "cancels the call; GET is refused with 405",
        ),
    ),
    _said(
        "ping",
        _HERE + "test_a_ping_is_answered_where_it_exists",
        (WORKS, "error -32601: the newest has none", WORKS, "error -32601: the newest has none"),
    ),
    _said(
        "batches (2025-03-26 only)",
        _SCRIPTED + "test_a_batch_is_taken_of_a_session_of_its_revision_and_none_is_sent",
        (
            "taken apart: its calls are sent one by one",
            "error -32600: the newest has none",
            "taken apart: its calls are sent one by one",
            "error -32600: the newest has none",
        ),
    ),
)

_DIES = "transports/test_child.py::test_a_child_deaf_to_sigterm_and_to_the_end_of_its_input_is_killed"

TRAPS = (
    Trap(1, "the server asks in mid-call, the client is of the newest era", (_ANSWERS + "[http-auto-1-stdio]",)),
    Trap(2, "a question that belongs to no call", (_INTERACTIVE + "test_a_question_outside_of_any_call_is_refused_and_reaches_nobody", _QUESTIONS + "test_a_question_that_nobody_is_asked_is_written_down_with_its_call_where_that_is_known")),
    Trap(3, "the client never comes back", (_QUESTIONS + "test_when_nobody_answers_the_server_is_told_its_process_ends_and_it_is_in_the_audit",)),
    Trap(4, "the same retry twice", (_QUESTIONS + "test_the_same_retry_twice_is_told_the_same_twice_and_runs_once",)),
    Trap(5, "a retry after a restart", (_QUESTIONS + "test_a_state_is_lost_with_the_process_that_gave_it_and_the_call_is_not_made_again",)),
    Trap(6, "a retry with other arguments", (_QUESTIONS + "test_a_retry_with_other_arguments_or_a_changed_state_is_refused_and_the_first_goes_on",)),
    Trap(7, "a retry by another caller", (_BAD + "test_what_may_not_be_is_answered_so_written_down_and_sent_to_nobody[a state of another caller]",)),
    Trap(8, "answers without a state", (_QUESTIONS + "test_answers_to_nothing_are_a_fresh_call_that_may_ask_again",)),
    Trap(9, "some of the answers", (_QUESTIONS + "test_answers_that_are_missing_or_none_are_asked_for_again_and_nothing_is_lost",)),
    Trap(10, "capabilities that differ in the retry", (_QUESTIONS + "test_who_comes_back_without_the_capability_is_told_so_and_the_call_is_ended",)),
    Trap(11, "the server goes on while the client is away", (_INTERACTIVE + "test_what_the_server_says_while_the_caller_is_away_is_told_when_it_comes_back",)),
    Trap(12, "a question of the gateway and one of the server in one call", (
        "frontdoor/test_own_questions.py::test_the_gateways_question_and_the_servers_are_rounds_of_one_call",
        "frontdoor/test_own_questions.py::test_an_older_caller_is_asked_both_on_its_own_stream",
        "frontdoor/test_own_questions.py::test_a_server_cannot_say_in_its_state_that_somebody_has_agreed",
    )),
    Trap(13, "`initialize` with the envelope of the newest", (_SPRUNG + "test_a_greeting_in_the_envelope_of_the_newest_era_does_not_exist",)),
    Trap(14, "`initialize` after `server/discover` on a line", (_SPRUNG + "test_who_has_discovered_on_a_line_may_still_greet",)),
    Trap(15, "a client that takes no stream", (_SPRUNG + "test_a_client_that_takes_no_stream_is_told_that_it_cannot_be_asked", _BAD + "test_who_takes_no_stream_is_told_that_it_cannot_be_asked_and_the_call_is_given_up")),
    Trap(16, "a disconnect in the middle of a question", (_SPRUNG + "test_a_question_outlives_the_connection_it_came_on", _QUESTIONS + "test_a_question_whose_caller_has_gone_for_good_is_given_up_in_time")),
    Trap(17, "a definition that changed since it was listed", ("gateway/test_upstream.py::test_a_definition_that_changed_since_it_was_listed_is_not_called", _INTERACTIVE + "test_a_definition_that_changes_while_its_call_waits_for_a_session_is_not_called")),
    Trap(18, "the first event before the acknowledgement", (_SUBSCRIBED + "test_what_changes_while_it_is_subscribed_to_is_told_behind_the_acknowledgement",)),
    Trap(19, "a change of what is hidden", (_SUBSCRIBED + "test_a_change_that_nobody_sees_is_told_to_nobody",)),
    Trap(20, "an event of several lines", tuple(f"{_STREAMS}test_an_event_of_several_lines_is_told_on_one[{cell}]" for cell in _ERAS)),
    Trap(21, "a 400 with -32000 for the first question", ("sdk/test_connect.py::test_any_other_answer_to_the_probe_is_an_older_server",)),
    Trap(22, "a 400 for an unknown session", ("sdk/test_http_stream.py::test_a_server_that_started_anew_and_says_so_in_its_own_way_has_forgotten_its_session",)),
    Trap(23, "a server of another era since its update", ("gateway/test_upstream.py::test_a_server_that_speaks_another_era_since_it_was_updated_is_asked_anew_and_the_call_is_made_once",)),
    Trap(24, "an unknown tool", tuple(f"{_HERE}test_an_unknown_tool_is_an_error_of_the_protocol[{cell}]" for cell in _ERAS)),
    Trap(25, "names beyond 64 characters", ("frontdoor/test_names.py::test_long_and_odd_names_are_shortened_so_that_each_stays_itself",)),
    Trap(26, "`ttlMs` trusted for what is allowed", (_NOW + "test_what_a_new_rule_forbids_is_refused_however_long_its_list_may_be_kept", _NOW + "test_what_a_server_has_taken_back_is_refused_however_long_its_list_may_be_kept")),
    Trap(27, "a child that ignores the end of its input", (_SPRUNG + "test_a_server_that_ignores_the_end_of_its_input_and_sigterm_ends_with_the_gateway", _DIES)),
    Trap(28, "one id for a question and for a call", (_QUESTIONS + "test_each_kind_of_question_is_a_round_with_a_new_state", _SPRUNG + "test_the_id_of_a_question_is_no_id_of_the_callers")),
    Trap(29, "a server that never stops asking", (_INTERACTIVE + "test_a_server_that_never_stops_asking_is_given_up",)),
    Trap(30, "a form that asks for a secret", (_QUESTIONS + "test_a_form_that_asks_for_a_secret_is_shown_to_nobody",)),
)  # fmt: skip


def named() -> Mapping[str, None]:
    """Every test that is named, once, in order."""
    cells = (test for row in ROWS for cell in row.cells for test in cell.tests)
    return dict.fromkeys([*cells, *(test for trap in TRAPS for test in trap.tests)])
