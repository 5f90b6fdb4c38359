"""What callers keep for the gateway between two rounds: a state it did not give runs nothing, and is written down."""

from pathlib import Path

import pytest
from gateway_clients import enveloped, head, post, request, tool
from gateway_world import gateway, hostile

from douane.audit.entry import Outcome


@pytest.mark.parametrize("door", ["/mcp", "/mcp/some"])
async def test_a_state_the_gateway_did_not_give_is_refused_recorded_and_sent_to_nobody(
    tmp_path: Path, door: str
) -> None:
    servers = {"some": {"select": {"hostile": {"tools": ["*"]}}}}
    async with gateway(tmp_path, {"hostile": hostile()}, servers=servers) as running:
        params = tool("hostile_echo", {"text": "x"}) | {"requestState": "AAAA", "inputResponses": {}}
        message = request("tools/call", enveloped(params))
        answer = await post(running, message, head(running.token, message), door)
        assert (answer.status, answer.code) == (200, -32602)
        assert "start the call again" in answer.message["error"]["message"]
    leaves = [entry.leaf for entry in running.world.audit() if isinstance(entry.leaf, Outcome)]
    (leaf,) = [leaf for leaf in leaves if leaf.method == "tools/call"]
    assert (leaf.status, leaf.code, leaf.tool) == ("refused", -32602, "hostile_echo")


async def test_the_keys_of_the_seals_are_made_once_for_their_owner_only(tmp_path: Path) -> None:
    kept: set[bytes] = set()
    for _ in range(2):
        async with gateway(tmp_path, {"hostile": hostile()}) as running:
            file = running.world.paths.keys / "seal.keys"
            assert file.stat().st_mode & 0o777 == 0o600
            kept.add(file.read_bytes())
    assert len(kept) == 1
