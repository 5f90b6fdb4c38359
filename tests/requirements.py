"""What Douane must do, row by row, and the tests that show it.

A row is `planned`, or `shown` by tests that drive it through a public door against a counterpart this project did not
write, wherever one exists. Stands alone: it imports nothing of ours. `python tests/requirements.py` writes
docs/features.md.
"""

from typing import Literal, NamedTuple


class Row(NamedTuple):
    id: str
    title: str
    status: Literal["planned", "shown"]
    tests: tuple[str, ...] = ()
    """`path::test_name`, from the root of the repository."""


SECTIONS = {
    "P": "Protocol",
    "S": "SDK, for people who write servers and hosts",
    "G": "Gateway",
    "I": "Identity and authorization",
    "D": "Defences",
    "O": "Audit and observability",
    "R": "Registry and lifecycle",
    "U": "Servers and use cases, each usable on its own and through the gateway",
    "C": "Scenarios, end to end, with a scripted model, each step authorised and audited on its own",
    "H": "Host",
    "X": "Deployment",
}

ROWS = (
    Row(
        "P01",
        "JSON-RPC 2.0 requests, responses, errors, notifications; batches where 2025-03-26 requires them; ids of both types; strict about duplicate keys, depth, size, numbers",
        "shown",
        (
            "tests/frontdoor/test_bad_frames_client.py::test_every_bad_frame_over_http_is_answered_400_with_its_code",
            "tests/frontdoor/test_bad_frames_client.py::test_every_bad_frame_on_a_line_is_answered_and_the_line_goes_on",
            "tests/frontdoor/test_bad_frames_upstream.py::test_an_answer_that_is_none_fails_its_own_call_in_time",
            "tests/frontdoor/test_batches.py::test_a_batch_is_answered_in_one_array_and_what_needs_no_answer_gets_none",
            "tests/frontdoor/test_batches.py::test_what_is_asked_in_one_batch_runs_at_the_same_time",
            "tests/frontdoor/test_batches.py::test_each_fault_in_a_batch_is_answered_by_itself",
            "tests/frontdoor/test_batches.py::test_no_other_revision_has_batches",
            "tests/sdk/test_url.py::test_a_server_of_2025_03_26_may_send_batches_and_is_answered_in_one",
        ),
    ),
    Row(
        "P02",
        "All five revisions as server and as client; version negotiation both ways; dual-era servers and clients",
        "shown",
        (
            "tests/frontdoor/test_serves.py::test_real_servers_answer_through_every_door_in_both_eras",
            "tests/frontdoor/test_sessions.py::test_initialize_settles_on_what_both_speak",
            "tests/sdk/test_line_door.py::test_both_eras_are_spoken_on_one_line_each_answered_in_its_own_words",
            "tests/frontdoor/test_sessions.py::test_a_server_of_every_revision_serves_clients_of_every_revision",
            "tests/counterparts/test_revisions.py::test_a_client_of_every_revision_gets_everything_through_every_door",
            "tests/sdk/test_url.py::test_a_server_that_takes_no_post_is_spoken_to_on_its_stream_in_every_revision",
        ),
    ),
    Row(
        "P03",
        "stdio transport, server and client: framing, stderr, shutdown ladder, noise tolerated and counted",
        "shown",
        (
            "tests/frontdoor/test_serves.py::test_real_servers_answer_through_every_door_in_both_eras",
            "tests/frontdoor/test_stdio_end.py::test_a_pipe_gets_all_its_answers_after_its_end",
            "tests/reliability/test_upstreams.py::test_garbage_on_stdout_costs_nothing_and_a_line_without_end_costs_the_child",
            "tests/reliability/test_upstreams.py::test_a_child_that_floods_its_stderr_is_drained_and_holds_up_nobody_else",
            "tests/reliability/test_shutdown.py::test_after_sigterm_no_process_of_any_shape_is_left",
        ),
    ),
    Row(
        "P04",
        "HTTP+SSE transport (2024-11-05), server and client",
        "shown",
        (
            "tests/counterparts/test_weather.py::test_every_official_client_asks_it_over_http_sse",
            "tests/counterparts/test_through_gateway.py::test_a_client_gets_from_a_server_by_url_what_it_gets_directly",
            "tests/counterparts/test_through_gateway.py::test_a_client_gets_through_every_door_what_it_gets_directly",
            "tests/frontdoor/test_sse.py::test_a_stream_says_first_where_to_post_and_then_what_is_answered",
            "tests/frontdoor/test_sse.py::test_what_is_posted_without_a_stream_of_ones_own_is_refused",
            "tests/sdk/test_url.py::test_a_stream_that_begins_otherwise_than_with_an_endpoint_here_is_refused",
            "tests/sdk/test_url.py::test_a_stream_that_dies_in_mid_call_ends_the_session_and_the_call_once",
        ),
    ),
    Row(
        "P05",
        "Streamable HTTP, server and client, legacy (sessions, GET stream, resumability with Last-Event-ID) and modern (stateless POST, required Mcp-* headers, header/body match)",
        "shown",
        (
            "tests/frontdoor/test_http_hostile.py::test_headers_that_do_not_mirror_the_body_are_refused_with_their_code",
            "tests/frontdoor/test_sessions.py::test_a_session_ends_with_delete_and_is_then_unknown",
            "tests/frontdoor/test_sessions.py::test_the_newest_revision_has_no_session_no_get_and_no_delete",
            "tests/frontdoor/test_sessions.py::test_a_second_ear_takes_over_from_the_first",
            "tests/frontdoor/test_sessions.py::test_one_caller_has_a_share_of_the_sessions_and_none_in_use_is_taken_from_it",
            "tests/counterparts/test_http_servers.py::test_the_server_of_everything_is_heard_and_found_again_after_it_was_restarted",
            "tests/sdk/test_http_stream.py::test_a_stream_with_ids_is_resumed_after_the_last_and_nothing_was_missed",
            "tests/sdk/test_http_stream.py::test_a_server_without_a_stream_is_asked_once",
            "tests/sdk/test_resumption.py::test_a_lost_stream_goes_on_where_it_was_until_its_answer",
            "tests/sdk/test_resumption.py::test_an_answer_given_while_the_client_was_away_waits_for_it",
            "tests/sdk/test_resumption.py::test_an_id_that_is_unknown_or_of_another_session_is_refused_clearly",
            "tests/sdk/test_event_store.py::test_a_session_keeps_so_many_events_and_never_tells_a_stream_with_a_hole",
            "tests/counterparts/test_streams.py::test_an_official_client_comes_back_for_the_rest_of_a_closed_stream",
            "tests/sdk/test_http_session.py::test_a_stream_that_ends_before_the_answer_is_taken_up_again_after_its_last_event",
            "tests/counterparts/test_questions.py::test_an_answer_is_fetched_from_a_server_that_closes_its_streams_early",
        ),
    ),
    Row(
        "P06",
        "Tools: list with paging and deterministic order, call, structured output, all content types, annotations, list_changed, x-mcp-header",
        "shown",
        (
            "tests/frontdoor/test_serves.py::test_real_servers_answer_through_every_door_in_both_eras",
            "tests/reliability/test_degraded.py::test_an_upstream_that_changes_its_tools_is_listed_anew_and_every_ear_hears_it_once",
            "tests/frontdoor/test_storms.py::test_two_hundred_changes_a_second_are_one_refresh_a_second_and_the_last_is_seen",
            "tests/counterparts/test_http_servers.py::test_a_tool_that_grew_is_listed_and_clients_are_told",
            "tests/gateway/test_view.py::test_pages_follow_each_other_without_gap_or_repetition",
            "tests/sdk/test_server.py::test_lists_come_in_pages_in_the_order_of_definition_and_a_changed_list_says_so",
            "tests/sdk/test_server.py::test_a_tool_is_shown_with_what_its_function_says",
            "tests/sdk/test_server.py::test_a_result_is_text_for_the_model_and_data_for_programs",
            "tests/counterparts/test_revisions.py::test_a_client_of_every_revision_gets_everything_through_every_door",
            "tests/sdk/test_param_headers.py::test_a_server_shows_the_mark_and_holds_every_call_to_it",
            "tests/sdk/test_param_headers.py::test_a_client_that_has_not_listed_learns_what_is_mirrored_and_calls_again",
            "tests/sdk/test_param_headers.py::test_a_tool_whose_mark_nobody_may_follow_is_not_listed_over_http_and_the_others_are",
            "tests/frontdoor/test_param_headers.py::test_what_the_headers_say_is_checked_and_the_upstream_is_sent_its_own",
        ),
    ),
    Row(
        "P07",
        "Resources: static, templates, read text and binary, subscriptions (legacy subscribe; modern subscriptions/listen), updated and list_changed",
        "shown",
        (
            "tests/counterparts/test_revisions.py::test_a_client_of_every_revision_gets_everything_through_every_door",
            "tests/counterparts/test_revisions.py::test_every_list_is_the_same_for_every_revision_and_at_every_time",
            "tests/counterparts/test_streams.py::test_an_official_client_hears_of_our_server",
            "tests/counterparts/test_streams.py::test_an_official_client_hears_of_an_official_server_through_the_gateway",
            "tests/counterparts/test_streams.py::test_a_client_in_typescript_hears_of_it_directly_and_through_the_gateway",
            "tests/counterparts/test_streams.py::test_our_client_hears_of_an_official_server",
            "tests/frontdoor/test_subscriptions.py::test_what_many_want_to_hear_of_is_asked_for_once_and_told_to_all",
            "tests/frontdoor/test_subscriptions.py::test_a_change_that_nobody_sees_is_told_to_nobody",
            "tests/frontdoor/test_subscriptions.py::test_who_may_not_any_more_hears_no_more",
            "tests/gateway/test_watched.py::test_a_new_session_is_asked_again_and_what_is_watched_counts_as_updated_once",
            "tests/sdk/test_subscriptions.py::test_both_eras_subscribe_on_one_line",
            "tests/sdk/test_subscriptions.py::test_what_is_honoured_is_acknowledged_first_and_all_that_follows_bears_the_id",
        ),
    ),
    Row(
        "P08",
        "Prompts with arguments, embedded resources; completion",
        "shown",
        (
            "tests/counterparts/test_revisions.py::test_a_client_of_every_revision_gets_everything_through_every_door",
            "tests/counterparts/test_through_gateway.py::test_a_client_gets_through_every_door_what_it_gets_directly",
        ),
    ),
    Row(
        "P09",
        "Sampling (with tools), elicitation (form and url), roots: legacy server-initiated, modern multi-round-trip (MRTR)",
        "shown",
        (
            "tests/counterparts/test_asking.py::test_every_official_client_answers_over_stdio",
            "tests/counterparts/test_asking.py::test_every_official_client_answers_over_streamable_http",
            "tests/counterparts/test_asking.py::test_every_official_client_answers_over_http_sse",
            "tests/sdk/test_asking.py::test_a_model_may_want_tools",
            "tests/sdk/test_asking.py::test_a_state_is_good_for_its_own_caller_only",
            "tests/sdk/test_callbacks.py::test_every_kind_of_question_is_answered_in_one_round_and_the_capabilities_say_so",
            "tests/counterparts/test_questions.py::test_everything_that_a_server_asks_reaches_a_client_and_comes_back",
        ),
    ),
    Row(
        "P10",
        "Capability negotiation, per session (legacy) and per request (modern); nothing used that was not declared",
        "shown",
        (
            "tests/frontdoor/test_bad_frames_upstream.py::test_a_server_that_asks_back_gets_no_capability_and_the_client_no_question",
            "tests/gateway/test_crawl.py::test_a_list_it_does_not_declare_is_not_asked_for",
            "tests/frontdoor/test_bad_frames_client.py::test_an_envelope_that_is_none_is_refused_with_its_code",
            "tests/counterparts/test_asking.py::test_a_client_that_declares_nothing_is_told_what_is_missing",
            "tests/sdk/test_callbacks.py::test_what_has_no_callback_is_not_declared",
            "tests/frontdoor/test_questions.py::test_what_the_operator_does_not_allow_the_server_is_refused",
        ),
    ),
    Row(
        "P11",
        "Progress, cancellation, logging, ping, trace context in _meta",
        "shown",
        (
            "tests/frontdoor/test_events.py::test_progress_comes_in_order_under_the_callers_token_and_before_the_answer",
            "tests/frontdoor/test_events.py::test_progress_and_answers_pass_on_lines_of_both_eras",
            "tests/frontdoor/test_events.py::test_log_messages_reach_the_caller_that_wants_them_from_its_level_up",
            "tests/counterparts/test_http_servers.py::test_the_log_level_of_a_caller_reaches_the_server_before_the_call",
            "tests/frontdoor/test_events.py::test_a_closed_connection_cancels_a_call_of_the_stateless_era",
            "tests/frontdoor/test_events.py::test_the_notification_cancels_in_a_session_and_nothing_more_is_said",
            "tests/frontdoor/test_events.py::test_the_notification_cancels_on_a_line",
            "tests/frontdoor/test_events.py::test_trace_context_reaches_the_server_and_our_envelope_is_our_own",
            "tests/sdk/test_line_door.py::test_discovery_and_ping_need_no_greeting_and_calls_do",
        ),
    ),
    Row(
        "P12",
        "Tasks extension (SEP-2663); legacy experimental tasks as far as they can be served honestly",
        "planned",
        (
            "tests/counterparts/test_tasks.py::test_the_official_clients_look_after_tasks_of_a_server_on_the_sdk",
            "tests/counterparts/test_tasks.py::test_the_official_clients_look_after_tasks_through_the_gateway",
            "tests/counterparts/test_tasks.py::test_a_server_of_2025_11_25_runs_tasks_for_every_client_of_the_gateway",
            "tests/counterparts/test_tasks.py::test_a_client_on_the_sdk_runs_tasks_of_a_server_of_2025_11_25",
            "tests/frontdoor/test_tasks.py::test_a_task_is_judged_as_its_call_as_long_as_it_lives",
            "tests/sdk/test_task_news.py::test_a_task_is_told_as_it_stands_and_each_time_it_stands_otherwise_until_it_is_over",
            "tests/frontdoor/test_task_news.py::test_what_an_upstream_tells_of_a_task_is_told_under_the_gateways_id",
            "tests/frontdoor/test_task_news.py::test_a_session_is_told_unasked_of_the_task_it_has_begun",
        ),
    ),
    Row(
        "P13",
        "Caching hints (ttlMs, cacheScope) produced and honoured",
        "shown",
        (
            "tests/sdk/test_kept.py::test_what_may_be_kept_is_asked_for_once_until_it_changes",
            "tests/sdk/test_kept.py::test_what_may_not_be_kept_is_asked_for_each_time_and_so_is_all_of_who_keeps_nothing",
            "tests/sdk/test_kept.py::test_a_list_is_kept_as_long_as_the_page_that_is_kept_the_shortest",
            "tests/sdk/test_kept.py::test_what_was_asked_for_before_a_change_was_told_is_not_kept",
            "tests/protocol/test_stateless.py::test_a_cacheable_answer_without_hints_may_be_kept_by_nobody",
            "tests/gateway/test_view.py::test_a_list_is_whole_and_private_and_may_be_kept_a_little",
            "tests/gateway/test_view.py::test_what_is_missing_is_named_and_then_nobody_keeps_the_list",
        ),
    ),
    Row(
        "P14",
        "OAuth client side: protected-resource metadata, AS discovery, CIMD, DCR, pre-registration, PKCE, resource indicators, step-up, iss checks, refresh, client credentials, DPoP, workload identity, enterprise-managed authorization (ID-JAG)",
        "shown",
        (
            "tests/conformance/test_tally.py::test_every_required_scenario_passes_but_those_the_page_explains",
            "tests/conformance/test_tally.py::test_the_scenarios_of_authorization_pass_those_that_are_not_scored_too",
            "tests/frontdoor/test_our_login.py::test_our_client_logs_in_steps_up_and_renews_at_our_gateway",
            "tests/counterparts/test_login.py::test_our_client_registers_logs_in_and_refreshes_at_an_official_server",
            "tests/sdk/test_oauth.py::test_a_user_logs_in_in_his_browser_and_the_call_goes_on",
            "tests/sdk/test_oauth.py::test_a_session_of_the_handshake_era_is_let_in_on_every_way_it_has",
            "tests/sdk/test_oauth.py::test_fifty_calls_refused_at_once_are_one_refresh_and_each_runs_once",
            "tests/sdk/test_oauth.py::test_more_scopes_are_asked_for_beside_those_before_and_only_once",
            "tests/sdk/test_oauth.py::test_a_refresh_token_that_was_lost_in_a_crash_costs_a_login_and_no_more",
            "tests/sdk/test_oauth.py::test_processes_that_share_a_login_refresh_it_once",
            "tests/sdk/test_oauth.py::test_a_program_logs_in_by_its_secret_and_again_when_its_token_has_ended",
            "tests/sdk/test_oauth.py::test_a_workload_shows_what_its_platform_signed_and_does_not_try_twice",
            "tests/sdk/test_oauth.py::test_a_user_of_an_enterprise_is_let_in_on_the_word_of_its_provider",
            "tests/sdk/test_oauth.py::test_a_token_bound_to_a_key_comes_with_a_proof_of_its_own_each_time_and_the_nonce_wanted",
            "tests/auth/test_login.py::test_metadata_that_cannot_be_trusted_end_the_login_before_anything_is_sent",
            "tests/auth/test_login.py::test_a_client_id_given_by_hand_comes_first_then_a_document_then_registration",
            "tests/auth/test_login.py::test_without_pkce_nobody_is_sent_away",
            "tests/auth/test_login.py::test_an_answer_that_is_not_from_there_is_not_used",
            "tests/auth/test_login.py::test_a_client_proves_itself_with_its_key_to_the_issuer_and_for_a_minute",
            "tests/auth/test_login.py::test_a_nonce_is_taken_up_once_and_a_server_that_wants_ever_another_is_given_up",
        ),
    ),
    Row(
        "P15",
        "The official conformance suite: every required scenario of 2025-11-25 and 2026-07-28, server and client, plus the unscored ones",
        "shown",
        (
            "tests/conformance/test_tally.py::test_a_scenario_passes_when_something_succeeded_and_nothing_failed_or_warned",
            "tests/conformance/test_tally.py::test_what_passed_before_and_does_not_now_is_worse_and_nothing_else_is",
            "tests/conformance/test_tally.py::test_every_required_scenario_passes_but_those_the_page_explains",
            "tests/conformance/test_tally.py::test_the_scenarios_of_authorization_pass_those_that_are_not_scored_too",
            "tests/conformance/test_tally.py::test_the_page_says_what_the_last_run_left",
        ),
    ),
    Row(
        "P16",
        "Official extensions negotiated and carried (tasks, apps/ui, enterprise authorization, client credentials), unknown ones passed through or refused, never dropped in silence",
        "planned",
        (
            "tests/counterparts/test_tasks.py::test_the_official_clients_look_after_tasks_through_the_gateway",
            "tests/gateway/test_upstream.py::test_an_extension_that_is_not_carried_is_not_dropped_in_silence",
        ),
    ),
    Row(
        "S01",
        "A complete server in about 20 lines: decorators for tools, resources, prompts; docstrings become descriptions, type hints become JSON Schema; sync and async functions; any transport by one argument",
        "shown",
        (
            "tests/counterparts/test_weather.py::test_every_official_client_asks_it_over_stdio",
            "tests/counterparts/test_weather.py::test_every_official_client_asks_it_over_streamable_http",
            "tests/counterparts/test_weather.py::test_it_is_about_as_short_as_the_docs_say",
            "tests/sdk/test_shapes.py::test_it_means_what_the_official_one_means_or_says_why_not",
            "tests/sdk/test_server.py::test_plain_functions_run_in_threads_side_by_side_and_coroutines_on_the_loop",
            "tests/sdk/test_server.py::test_what_cannot_be_served_is_refused_where_it_is_written",
            "tests/cli/test_dev.py::test_a_saved_file_is_served_on_the_line_that_is_open",
            "tests/counterparts/test_weather.py::test_every_official_client_asks_it_over_http_sse",
        ),
    ),
    Row(
        "S02",
        "A client for any server over any transport; 1:1 connection, isolated; a host object that runs many clients side by side",
        "shown",
        (
            "tests/counterparts/test_our_client.py::test_one_client_speaks_to_any_of_them_over_any_transport",
            "tests/counterparts/test_our_client.py::test_a_host_speaks_to_all_of_them_side_by_side_and_each_answers_for_itself",
            "tests/sdk/test_client.py::test_what_happens_during_a_call_is_heard_over_every_way",
            "tests/sdk/test_client.py::test_a_host_speaks_to_many_and_one_that_is_dead_disturbs_nobody",
        ),
    ),
    Row(
        "S03",
        "Tool functions can report progress, log, ask (elicit, sample, list roots), return structured results, run as tasks; same code serves every revision",
        "shown",
        (
            "tests/sdk/test_server.py::test_progress_and_logs_arrive_in_order_before_the_answer_from_threads_and_coroutines",
            "tests/counterparts/test_asking.py::test_every_official_client_answers_over_stdio",
            "tests/counterparts/test_tasks.py::test_the_official_clients_look_after_tasks_of_a_server_on_the_sdk",
            "tests/sdk/test_shapes.py::test_structured_results_are_those_of_the_official_sdk_and_fit_both_schemas",
        ),
    ),
    Row(
        "S04",
        "The same interceptors (limits, policy, guards, audit) can stand in front of an author's own server or behind an author's own client",
        "planned",
    ),
    Row(
        "S05",
        "Tests of a server in memory, without a model and without a network; pytest fixtures",
        "shown",
        (
            "tests/test_docs_sdk.py::test_the_tests_of_the_docs_pass",
            "tests/sdk/test_client.py::test_plain_tests_ask_without_a_loop_of_their_own",
            "tests/sdk/test_server.py::test_a_result_is_text_for_the_model_and_data_for_programs",
        ),
    ),
    Row(
        "S06",
        "Published example programs run: unchanged on the official SDK through the gateway, and on ours by one changed import: a weather tool with `config://weather/supported-cities` and the prompt `weather_report`; `query_database`, `list_tables`, `db://schema/{table_name}`; `safe_query` with its allow-list; the client configuration and the pytest pattern that go with them. Their known SQL holes are blocked",
        "planned",
        (
            "tests/counterparts/test_weather.py::test_the_same_program_on_the_official_sdk_passes_the_gateway_unchanged",
            "tests/counterparts/test_weather.py::test_with_its_import_changed_the_official_program_runs_on_ours",
        ),
    ),
    Row(
        "G01",
        "One endpoint in front of many upstreams (stdio children, HTTP+SSE, Streamable HTTP), served over Streamable HTTP, HTTP+SSE and stdio (`douane stdio`, for clients that launch a command), federated lists, namespacing, virtual servers, tool renaming, hiding and description overrides, names within 64 characters",
        "shown",
        (
            "tests/counterparts/test_through_gateway.py::test_a_client_gets_through_every_door_what_it_gets_directly",
            "tests/counterparts/test_through_gateway.py::test_a_client_gets_from_a_server_by_url_what_it_gets_directly",
            "tests/frontdoor/test_serves.py::test_real_servers_answer_through_every_door_in_both_eras",
            "tests/frontdoor/test_names.py::test_long_and_odd_names_are_shortened_so_that_each_stays_itself",
            "tests/frontdoor/test_names.py::test_what_two_upstreams_would_show_under_one_name_stays_callable_at_both",
            "tests/frontdoor/test_virtual_servers.py::test_what_a_virtual_server_does_not_select_is_not_there",
            "tests/frontdoor/test_virtual_servers.py::test_tools_are_shown_in_the_operators_words_and_called_in_the_servers",
            "tests/frontdoor/test_virtual_servers.py::test_only_those_whose_list_changed_are_told",
            "tests/counterparts/test_virtual_servers.py::test_an_official_client_gets_the_selection_and_nothing_else",
            "tests/counterparts/test_virtual_servers.py::test_a_uri_that_two_servers_have_is_read_at_both",
            "tests/counterparts/test_revisions.py::test_a_client_of_every_revision_gets_everything_through_every_door",
        ),
    ),
    Row(
        "G02",
        "Any client to any server: all four era cells × every feature, including a legacy server's mid-call question answered by a modern client (MRTR) and the reverse",
        "planned",
        (
            "tests/counterparts/test_questions.py::test_the_official_client_answers_what_official_servers_ask",
            "tests/counterparts/test_questions.py::test_tools_that_the_everything_server_shows_only_to_who_can_be_asked_work",
            "tests/frontdoor/test_questions.py::test_an_older_caller_is_asked_on_its_own_stream_and_each_round_is_a_call_in_the_audit",
            "tests/reliability/test_abandoned.py::test_ten_thousand_questions_abandoned_over_http_leave_nothing",
            "tests/reliability/test_abandoned.py::test_fifty_questions_abandoned_on_lines_leave_nothing",
            "tests/reliability/test_abandoned.py::test_as_many_questions_as_may_wait_at_one_url_hold_up_no_answer_and_no_other_call",
        ),
    ),
    Row(
        "G03",
        "One dead, slow or hostile upstream never spoils the others: degraded lists say which server is missing and why",
        "shown",
        (
            "tests/reliability/test_degraded.py::test_one_dead_upstream_of_many_costs_nothing_but_its_own_tools",
            "tests/reliability/test_degraded.py::test_the_gap_is_named_to_clients_of_every_door_and_era",
            "tests/reliability/test_upstreams.py::test_one_stalled_upstream_holds_up_nobody_else",
            "tests/reliability/test_degraded.py::test_an_upstream_whose_command_appears_is_listed_and_clients_are_told",
        ),
    ),
    Row(
        "G04",
        "Upstream processes: on-demand start, start storms bounded, restart with backoff, idle stop, no orphan or zombie ever",
        "shown",
        (
            "tests/reliability/test_upstreams.py::test_fifty_first_calls_at_once_start_one_child",
            "tests/reliability/test_upstreams.py::test_fifty_calls_at_once_wake_one_child_that_slept",
            "tests/reliability/test_upstreams.py::test_a_child_that_never_serves_is_tried_with_growing_pauses_and_leaves_no_descriptor",
            "tests/gateway/test_upstream.py::test_one_that_nobody_uses_is_stopped_and_started_again_on_demand",
            "tests/reliability/test_shutdown.py::test_after_sigterm_no_process_of_any_shape_is_left",
            "tests/reliability/test_shutdown.py::test_after_sigkill_no_process_of_any_shape_is_left",
        ),
    ),
    Row(
        "G05",
        "Circuit breakers, deadlines, retry with exponential backoff and jitter only of what was not sent or what the operator marked idempotent, graceful fallback the model can read",
        "planned",
        (
            "tests/reliability/test_upstreams.py::test_a_call_that_hangs_ends_at_its_deadline_and_the_server_is_told",
            "tests/reliability/test_upstreams.py::test_a_tool_that_dies_after_its_effect_had_it_once",
        ),
    ),
    Row(
        "G06",
        "Rate limits, concurrency limits and quotas per principal, tool, tenant, client and session or conversation; loops of identical calls detected",
        "planned",
    ),
    Row("G07", "Result cache by declared hints and by operator rule, private by default", "planned"),
    Row(
        "G08",
        "Imports claude_desktop_config.json, .mcp.json, VS Code mcp.json, Cursor, Windsurf, Continue and server.json; tool schemas exported for OpenAI, Anthropic and Gemini function calling; writes the client's snippet back for each of them",
        "shown",
        (
            "tests/cli/test_clients.py::test_servers_of_each_client_are_imported_started_and_listed",
            "tests/cli/test_clients.py::test_entries_written_for_six_clients_lead_to_the_gateway",
            "tests/cli/test_clients.py::test_what_is_written_is_read_by_the_package_that_continue_reads_it_with",
            "tests/cli/test_clients.py::test_what_is_written_is_found_and_followed_by_a_program_that_takes_over_clients",
            "tests/cli/test_clients.py::test_an_entry_by_url_leads_there_and_the_inspector_reads_it",
            "tests/cli/test_clients.py::test_tools_are_exported_for_function_calling",
            "tests/config/test_import.py::test_what_clients_document_is_taken_over_as_it_stands_beside_it",
        ),
    ),
    Row(
        "G09",
        "Hot reload of configuration with no dropped call; one file from laptop to cluster; `config explain`",
        "planned",
    ),
    Row("G10", "REST to MCP: any OpenAPI 3 document becomes governed tools", "planned"),
    Row(
        "G11",
        "Tool search and progressive discovery: a few meta-tools instead of hundreds of definitions, measured in tokens saved and tools found",
        "planned",
    ),
    Row(
        "G12",
        "Scale-out: N replicas over PostgreSQL and Redis or Valkey behind any load balancer, no stickiness needed for modern traffic, nothing durable lost when one dies; what cannot survive (a parked question) is said so to the caller",
        "planned",
    ),
    Row("G13", "Multi-tenant: servers, policies, keys, limits and audit apart per tenant", "planned"),
    Row(
        "I01",
        "OAuth 2.1 resource server: protected-resource metadata, JWT by JWKS (RS, ES, EdDSA), audience and issuer checked, 401/403 with scopes to step up; API keys; mTLS at a proxy; loopback development mode with a token, never open",
        "shown",
        (
            "tests/frontdoor/test_http_hostile.py::test_nobody_comes_in_without_the_token_and_the_audit_holds_one_leaf_a_second",
            "tests/frontdoor/test_sessions.py::test_a_session_is_no_credential",
            "tests/frontdoor/test_identity.py::test_who_has_no_token_is_told_where_to_get_one_and_that_page_names_exactly_this_endpoint",
            "tests/frontdoor/test_identity.py::test_a_token_of_the_issuer_lets_its_person_in_whatever_key_it_is_signed_with",
            "tests/frontdoor/test_identity.py::test_tokens_that_do_not_hold_are_refused_audited_and_reach_nobody",
            "tests/frontdoor/test_identity.py::test_a_token_is_good_at_the_endpoint_it_was_issued_for_and_at_no_other",
            "tests/frontdoor/test_identity.py::test_a_call_beyond_the_scopes_of_its_token_is_told_all_it_needs_and_goes_through_with_them",
            "tests/frontdoor/test_credentials.py::test_a_key_is_shown_once_lets_its_program_in_and_is_refused_within_seconds_once_revoked",
            "tests/frontdoor/test_credentials.py::test_a_certificate_lets_its_holder_in_when_a_trusted_proxy_tells_of_it_and_only_then",
        ),
    ),
    Row(
        "I02",
        "An embedded authorization server for a laptop or a small team (PKCE, CIMD, consent per client, refresh rotation); federation to an outside OIDC provider for the rest",
        "shown",
        (
            "tests/frontdoor/test_logging_in.py::test_a_client_of_each_official_sdk_logs_in_steps_up_and_renews",
            "tests/frontdoor/test_logging_in.py::test_a_client_that_is_known_by_its_document_need_not_register",
            "tests/frontdoor/test_logging_in.py::test_who_was_added_is_let_in_with_groups_and_removed_is_out_within_seconds",
            "tests/frontdoor/test_logging_in.py::test_a_stream_ends_when_what_opened_it_is_taken_back",
            "tests/frontdoor/test_logging_in.py::test_a_token_for_one_endpoint_is_good_there_alone_and_none_can_be_made_up",
            "tests/auth/authority/test_code.py::test_a_refresh_token_is_exchanged_once_and_seen_again_ends_its_family",
            "tests/auth/authority/test_hostile_requests.py::test_consent_is_asked_once_for_each_client_person_and_scope",
            "tests/auth/authority/test_browser.py::test_a_person_logs_in_agrees_and_is_back_at_the_program",
            "tests/auth/authority/test_browser.py::test_a_person_makes_a_passkey_logs_in_with_it_and_removes_it",
            "tests/auth/authority/test_browser.py::test_a_person_logs_in_with_an_outside_provider_and_agrees_here",
        ),
    ),
    Row(
        "I03",
        "No token passthrough: upstream credentials are the gateway's own or the user's own (vault, sealed at rest), token exchange (RFC 8693), per-user OAuth to upstreams with consent",
        "shown",
        (
            "tests/frontdoor/test_upstream_tokens.py::test_every_request_carries_the_gateways_own_token_and_never_the_callers",
            "tests/frontdoor/test_upstream_tokens.py::test_a_key_signs_for_the_gateway_instead_of_a_secret_and_the_issuer_says_where",
            "tests/frontdoor/test_users_apart.py::test_in_exchange_for_each_callers_token_its_own_is_got_and_no_callers_token_goes_further",
            "tests/frontdoor/test_users_apart.py::test_each_calls_as_himself_and_what_one_has_granted_is_nothing_to_the_other",
            "tests/frontdoor/test_user_grants.py::test_a_call_that_needs_a_grant_is_answered_with_a_link_and_goes_on_after_it",
            "tests/frontdoor/test_user_grants.py::test_a_client_of_2025_11_25_is_asked_and_its_call_waits_until_it_is_granted",
            "tests/counterparts/test_upstream_login.py::test_the_official_client_shows_the_page_and_its_call_goes_on_as_its_user_says",
            "tests/frontdoor/test_connect_browser.py::test_a_person_follows_the_link_agrees_logs_in_and_the_call_goes_on",
            "tests/frontdoor/test_user_grants.py::test_a_grant_outlives_the_gateway_and_stands_nowhere_in_clear",
            "tests/gateway/test_own_sessions.py::test_of_ten_thousand_interleaved_calls_of_fifty_users_none_carries_anothers_credentials",
        ),
    ),
    Row(
        "I04",
        "Policy over the full context: principal, groups, tenant, client, server, tool, arguments, labels, time, risk, prompt digest and purpose where the host gives them, target system behind the tool; unknown means refused; explained; the same rule hides in lists what it refuses in calls",
        "planned",
        ("tests/cli/test_verbs.py::test_a_refusal_names_the_command_that_allows_it_and_that_command_does",),
    ),
    Row(
        "I05",
        'Policy that can be tested: unit tests, dry-run (log-only), replay of recorded traffic against a new policy, "who can reach what"',
        "planned",
    ),
    Row(
        "I06",
        "Scopes kept minimal: read and write apart, unused grants reported, least-privilege policy proposed from observed use",
        "planned",
    ),
    Row(
        "I07",
        "Human approvals for high-impact actions: bound to exact arguments, tool digest, principal and expiry; asked in the client (elicitation), in the console, on the command line or by webhook; four-eyes; batches; survive a restart; used exactly once",
        "planned",
    ),
    Row(
        "I08",
        "Consent before a local server's command is run: shown in full, pinned, changed means asked again",
        "planned",
        (
            "tests/cli/test_clients.py::test_a_script_that_changed_is_not_started_until_it_is_agreed_to_again",
            "tests/cli/test_clients.py::test_what_is_asked_on_a_terminal_is_answered_there",
        ),
    ),
    Row(
        "I09",
        "Sessions, tasks, handles and request state bound to the principal; unguessable; rotated; expire; replays refused and logged",
        "planned",
        (
            "tests/frontdoor/test_credentials.py::test_a_session_belongs_to_who_opened_it_and_is_no_credential",
            "tests/frontdoor/test_credentials.py::test_a_stream_ends_when_its_token_expires_or_its_key_is_revoked",
            "tests/sdk/test_tasks.py::test_a_task_is_there_for_nobody_but_its_owner",
            "tests/gateway/test_deferring.py::test_a_handle_is_there_for_its_owner_alone",
            "tests/gateway/test_deferring.py::test_a_task_is_kept_as_long_as_its_upstream_says",
            "tests/frontdoor/test_questions.py::test_a_retry_with_other_arguments_or_a_changed_state_is_refused_and_the_first_goes_on",
            "tests/frontdoor/test_questions.py::test_the_same_retry_twice_is_told_the_same_twice_and_runs_once",
        ),
    ),
    Row(
        "I10",
        "Inventory of who and what has access, and a kill switch: a principal, client, server, tool or grant cut off within 5 s, calls in flight included",
        "planned",
        (
            "tests/frontdoor/test_revoke.py::test_what_is_revoked_is_cut_off_within_five_seconds_with_what_is_under_way",
            "tests/frontdoor/test_revoke.py::test_who_was_asked_something_is_not_waited_for",
        ),
    ),
    Row(
        "I11",
        "Access reviews: grants and scopes listed with last use, confirmed or withdrawn by an owner, recorded",
        "planned",
    ),
    Row(
        "I12",
        "A risk score for each call from declared inputs (effects, labels, novelty, hour, volume), shown and usable in policy; step-up authentication or approval above a threshold",
        "planned",
    ),
    Row(
        "D01",
        "Hidden text found and blocked or shown: Unicode tags, zero-width, bidi, variation selectors, ANSI escapes, homoglyphs; legitimate emoji, Persian, Indic, Hebrew and flags pass",
        "planned",
    ),
    Row(
        "D02",
        "Pinning of tools, prompts, resources and instructions: definitions hashed, locked in a file, drift blocked until a person has seen a semantic diff; `douane lock` and `douane diff` in CI",
        "planned",
    ),
    Row(
        "D03",
        "Tool poisoning, shadowing, look-alike names and cross-references to other servers' tools found in definitions; collisions fail closed",
        "planned",
    ),
    Row(
        "D04",
        "Injection in results: detected, quoted and labelled as data (spotlighting); detectors in a pipeline of engines (rules, heuristics, optional local model), each measured",
        "planned",
    ),
    Row(
        "D05",
        "Data-flow control: results carry labels (source, sensitivity, trust), labels follow the conversation, and a call that would carry confidential data out, or act on untrusted content with side effects, is refused or asked about. Deterministic: holds even if the model does all the attacker says",
        "planned",
    ),
    Row("D06", "Secrets and personal data masked both ways; late-bound secrets the model never sees", "planned"),
    Row(
        "D07",
        "Argument checks: JSON Schema, path traversal, SSRF, shell metacharacters, SQL that must be read-only",
        "planned",
    ),
    Row(
        "D08",
        "Local servers sandboxed: file system, network egress, process and memory limits; or an OCI image by digest (docker, podman) with a locked profile; honest about what each platform can enforce",
        "planned",
    ),
    Row(
        "D09",
        "`douane scan`: configuration, server code and packages, definitions, live behaviour; findings mapped to OWASP MCP/LLM/Agentic top tens, MITRE ATLAS, NIST AI RMF, ENISA and ANSSI guidance; SARIF; exit codes for CI",
        "planned",
    ),
    Row(
        "D10",
        "Supply chain: allow-list of servers, pinned versions, integrity hashes, known-vulnerable versions, signatures and provenance where published",
        "planned",
    ),
    Row(
        "D11",
        "`douane attack`: a red-team run of published attack families against one's own gateway configuration, with a score and false positives; probes importable from Garak and PyRIT corpora",
        "planned",
    ),
    Row(
        "D12",
        "The same inspection for what goes towards the model from the user's side: prompt arguments, user prompts the host submits, sampling and elicitation content",
        "planned",
    ),
    Row(
        "O01",
        "Every call in an audit log before it is sent and before its answer is returned: who, which client, tool, arguments (committed, masked), decision and why, result, duration, correlation ids from prompt to downstream; no audit, no call",
        "planned",
        (
            "tests/reliability/test_kill.py::test_what_was_answered_before_any_of_25_kills_is_in_the_audit",
            "tests/reliability/test_no_audit_no_call.py::test_a_call_whose_intent_cannot_be_written_is_denied_in_time_and_never_sent",
            "tests/reliability/test_no_audit_no_call.py::test_an_answer_that_cannot_be_recorded_is_withheld_and_closed_as_unknown_at_the_next_start",
            "tests/reliability/test_no_audit_no_call.py::test_a_gateway_that_lost_its_log_says_why_and_ends_so_that_the_next_start_recovers",
            "tests/cli/test_verbs.py::test_what_was_done_is_read_and_proved",
        ),
    ),
    Row(
        "O02",
        "Tamper-evident: Merkle tree, signed checkpoints in open formats, offline verifier, receipts; erasure of personal data without breaking it",
        "planned",
        ("tests/reliability/test_no_audit_no_call.py::test_a_log_that_was_rolled_back_is_refused",),
    ),
    Row("O03", "SIEM: OCSF, ECS, CEF, LEEF and JSON lines to file, syslog, OTLP and HTTP", "planned"),
    Row(
        "O04",
        "Metrics: latency p50/p95/p99, errors, refusals, approvals, time to detect and to respond, calls per minute by tool, server, tenant, with bounded cardinality; Prometheus endpoint; OTLP (Datadog and others); Grafana dashboards shipped",
        "planned",
    ),
    Row(
        "O05",
        "Traces: OpenTelemetry from client to upstream and back, context carried in _meta and headers, standard MCP attributes",
        "planned",
    ),
    Row(
        "O06",
        "Alerts: spikes, loops, refused-access patterns, off-hours use, new tools, drift; to webhook, mail and log",
        "planned",
    ),
    Row(
        "O07",
        "Web console: overview, live calls, approvals, servers and tools with diffs, policies, audit search and proof, alerts; works with a keyboard, on a phone, in dark mode, in French and English",
        "planned",
    ),
    Row(
        "O08",
        "Command line for all of it, with progress, colours that can be turned off, JSON output and shell completion",
        "planned",
        (
            "tests/cli/test_verbs.py::test_lists_are_for_people_and_for_programs",
            "tests/cli/test_verbs.py::test_errors_of_the_command_line_have_their_codes",
            "tests/cli/test_verbs.py::test_settings_say_where_they_were_said",
            "tests/cli/test_another_configuration.py::test_who_means_another_configuration_than_the_running_one_is_refused_and_told_the_remedy",
            "tests/cli/test_until.py::test_a_rule_that_ends_is_written_taken_and_ends",
            "tests/cli/test_verbs.py::test_the_doctor_finds_a_running_gateway_well",
        ),
    ),
    Row(
        "O09",
        "Which data did this agent see, when, why: per-agent and per-person access report; carriers in _meta for prompt digest, purpose and the human behind the agent; pseudonyms resolved only with rights, and audited",
        "planned",
    ),
    Row(
        "R01",
        "A private registry with the official registry's API: submit, scan, sign, certify, revoke; namespace proof; versions and status; sync from an upstream registry; clients can install from it",
        "planned",
    ),
    Row(
        "R02",
        "Semantic versioning of servers: a definition change is classified (breaking, compatible, text only), release notes drafted, old versions served side by side",
        "planned",
    ),
    Row("R03", "Discovery: well-known documents, server cards, DNS-SD on a local network", "planned"),
    Row(
        "R04",
        "`douane inspect`: list, call, read, watch any server without a model; record and replay a session",
        "planned",
    ),
    Row(
        "R05",
        "Staged adoption: observe only, then warn, then enforce, per server; read-only first; side by side with an existing direct integration, compared",
        "planned",
    ),
    Row(
        "U01",
        "Weather (the 20-line example, against a real HTTP endpoint under the test's control)",
        "shown",
        (
            "tests/counterparts/test_weather.py::test_every_official_client_asks_it_over_stdio",
            "tests/counterparts/test_weather.py::test_every_official_client_asks_it_over_streamable_http",
            "tests/counterparts/test_weather.py::test_the_same_program_on_the_official_sdk_passes_the_gateway_unchanged",
            "tests/counterparts/test_weather.py::test_every_official_client_asks_it_over_http_sse",
        ),
    ),
    Row(
        "U02",
        "PostgreSQL: read-only proven by parser and by the database, schema resources, limits; SQLite and DuckDB alike",
        "planned",
    ),
    Row("U03", "Filesystem: read, write, list, glob, inside roots only, symlink-safe", "planned"),
    Row("U04", "Memory: a knowledge graph kept between sessions", "planned"),
    Row(
        "U05",
        "Git and GitHub (repositories, issues, pull requests, code search, actions); Slack (send, search history, channels); Google Drive (search, read, extract): through their published APIs, tested against a faithful local stand-in",
        "planned",
    ),
    Row("U06", "Browser: navigate, extract, screenshot with a real headless browser", "planned"),
    Row("U07", "Fetch: pages as text, SSRF-safe, robots honoured", "planned"),
    Row(
        "U08",
        "Threat intelligence: an indicator enriched from several feeds (STIX/TAXII, abuse lists, CVE/KEV/EPSS files), sources named",
        "planned",
    ),
    Row("U09", "SIEM search: natural fields over stored events (OCSF/ECS), bounded", "planned"),
    Row(
        "U10",
        "Incident response: tickets and playbooks with approval gates, isolation and quarantine actions dry-run first, everything audited",
        "planned",
    ),
    Row(
        "U11",
        "ChatOps: policy questions, permission checks, credential reset with approval, for the asking user's own rights only",
        "planned",
    ),
    Row(
        "U12",
        "Compliance: live configuration compared with control documents found by retrieval, gaps with evidence",
        "planned",
    ),
    Row(
        "U13",
        "Documents: ingestion and hybrid retrieval (full text and vectors) with sources, so retrieval and tools answer together",
        "planned",
    ),
    Row(
        "U14",
        "Detections: search over Sigma rules by meaning, log source and ATT&CK technique; conversion to query languages by the ecosystem's own library",
        "planned",
    ),
    Row(
        "U15",
        "Defence knowledge: look up countermeasures for AI threats, checklists (AIDEFEND-like, OWASP, ATLAS)",
        "planned",
    ),
    Row("U16", "Code execution in a sandbox with no network, bounded time and memory, files in and out", "planned"),
    Row(
        "U17",
        "Mail: search, read, send with approval and recipient allow-list, against a real SMTP/IMAP server",
        "planned",
    ),
    Row("U18", "Endpoint query (osquery-like tables of a host) and isolation, read apart from act", "planned"),
    Row(
        "C01",
        '"What is the threat level for our mail gateway right now?": the right server found, permission checked, live answer',
        "planned",
    ),
    Row(
        "C02",
        '"Investigate this suspicious mail and open a ticket if it is malicious": analyse, enrich, decide, ticket by approval',
        "planned",
    ),
    Row(
        "C03",
        "Phishing campaign: detect, correlate, find affected users, quarantine with approval, full trail",
        "planned",
    ),
    Row(
        "C04",
        '"What does our retention policy say, and how many logs do we keep?": retrieval and live query in one answer',
        "planned",
    ),
    Row(
        "C05",
        '"Find detections for credential dumping in Windows security logs": five rules from a detection library',
        "planned",
    ),
    Row(
        "H01",
        "`douane chat`: a host with any OpenAI-compatible or Anthropic endpoint, many servers, consent, approvals shown in the terminal, prompts the user picks, resources the application attaches, transcript",
        "planned",
    ),
    Row("H02", "Sampling served under the host's control: shown, editable, refusable, budgeted", "planned"),
    Row(
        "H03",
        "Works under LangChain, LlamaIndex, CrewAI, BeeAI, OpenAI Agents, Pydantic AI, Google ADK, Claude Desktop and Code, Cursor, VS Code, Continue: connection shown by running the real client libraries where they can run offline",
        "planned",
    ),
    Row(
        "X01",
        "Debian-slim image, compose file, Helm chart, systemd unit with watchdog and socket activation",
        "planned",
    ),
    Row(
        "X02",
        "TLS in front (own certificate, reload without restart) and behind (private CA, client certificates)",
        "shown",
        (
            "tests/frontdoor/test_tls.py::test_the_doors_speak_https_and_a_renewed_certificate_needs_no_restart",
            "tests/frontdoor/test_tls.py::test_an_upstream_of_a_private_authority_is_reached_through_a_proxy_with_our_certificate",
            "tests/frontdoor/test_tls.py::test_a_certificate_that_cannot_be_used_keeps_the_doors_shut",
            "tests/transports/test_tls.py::test_half_a_renewal_changes_nothing_and_is_said_once",
        ),
    ),
    Row(
        "X03",
        "Outbound proxy, custom CA bundle, secret managers (files, environment, keyring, Vault-compatible HTTP)",
        "shown",
        (
            "tests/frontdoor/test_tls.py::test_an_upstream_of_a_private_authority_is_reached_through_a_proxy_with_our_certificate",
            "tests/transports/test_proxy.py::test_an_upstream_is_reached_through_a_real_proxy_with_tls_end_to_end",
            "tests/config/test_managers.py::test_a_field_of_vault_stands_in_a_value_and_is_never_shown",
            "tests/config/test_managers.py::test_the_keyring_of_the_user_stands_in_a_value",
            "tests/config/test_load.py::test_a_variable_may_come_from_a_file_and_one_that_everyone_can_read_is_warned_of",
        ),
    ),
    Row(
        "X04",
        "Backup, restore and upgrade without loss, each a command and a test; `/healthz`, `/readyz`",
        "planned",
        (
            "tests/reliability/test_degraded.py::test_one_dead_upstream_of_many_costs_nothing_but_its_own_tools",
            "tests/reliability/test_no_audit_no_call.py::test_a_call_whose_intent_cannot_be_written_is_denied_in_time_and_never_sent",
        ),
    ),
)


def page() -> str:
    """docs/features.md."""
    shown = sum(row.status == "shown" for row in ROWS)
    lines = [
        "# Features",
        "",
        f"{shown} of {len(ROWS)} are shown by tests. This page is written by `make docs` from `tests/requirements.py`.",
    ]
    for letter, heading in SECTIONS.items():
        lines += ["", f"## {letter}. {heading}", "", "| id | capability | status | shown by |", "|---|---|---|---|"]
        for row in ROWS:
            if row.id[0] == letter:
                tests = "<br>".join(f"`{test}`" for test in row.tests)
                title = row.title.replace("|", "\\|")
                lines.append(f"| {row.id} | {title} | {row.status} | {tests} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
