from typing import Any

import pytest

from douane.protocol.negotiate import judge_answer, judge_status
from douane.protocol.versions import Era
from douane.wire.rpc import Error, Response


@pytest.mark.parametrize(
    ("supported", "era"),
    [
        (["2026-07-28"], Era.STATELESS),
        (["2025-11-25", "2026-07-28", "2027-01-01"], Era.STATELESS),
        (["2025-11-25", "2025-06-18"], Era.HANDSHAKE),
        (["2027-01-01"], None),
        (["2024-11-05"], Era.HANDSHAKE),
        (["2024-10-07"], None),
        ([], None),
        ([1, None, {}], None),
        ("2026-07-28", Era.HANDSHAKE),
        (None, Era.HANDSHAKE),
    ],
)
def test_a_discovery_is_judged_by_the_revisions_it_lists(supported: Any, era: Era | None) -> None:
    assert judge_answer(Response(1, {"supportedVersions": supported}, b"")) is era


def test_a_result_that_is_no_discovery_is_an_older_server_being_polite() -> None:
    assert judge_answer(Response(1, {}, b"{}")) is Era.HANDSHAKE


@pytest.mark.parametrize(
    ("code", "data", "era"),
    [
        (-32022, {"supported": ["2026-07-28"]}, Era.STATELESS),
        (-32022, {"supported": ["2025-11-25"]}, Era.HANDSHAKE),
        (-32022, {"supported": ["2031-01-01"]}, None),
        (-32022, None, Era.STATELESS),
        (-32022, {"supported": "all"}, Era.STATELESS),
        (-32020, None, Era.STATELESS),
        (-32021, {"requiredCapabilities": {}}, Era.STATELESS),
        (-32601, None, Era.HANDSHAKE),
        (-32602, None, Era.HANDSHAKE),
        (-32600, None, Era.HANDSHAKE),
        (-32000, None, Era.HANDSHAKE),
        (-32700, {"supported": ["2026-07-28"]}, Era.HANDSHAKE),
    ],
)
def test_only_an_error_of_the_newest_revision_speaks_for_it(code: int, data: Any, era: Era | None) -> None:
    assert judge_answer(Error(1, code, "no", data)) is era


def test_a_status_that_may_come_from_anywhere_says_nothing_about_eras() -> None:
    assert {s for s in range(100, 600) if judge_status(s)} == {400, 404, 405, 406, 415, 422}
