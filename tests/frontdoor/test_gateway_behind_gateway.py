"""A gateway as the upstream of another: its users log in at the authorization server of the one behind, by the other's pages."""

import json
from pathlib import Path
from typing import Any

from browser import Browser, forms
from gateway_clients import enveloped, head, post, request, tool, until_ready
from gateway_world import Gateway, gateway, real

_OFFERS: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}}}


async def called(running: Gateway, name: str, **more: Any) -> Any:
    params = tool(name, {"timezone": "Europe/Paris"}) | more
    message = request("tools/call", enveloped(params, **_OFFERS))
    return (await post(running, message, head(running.token, message))).message


async def test_a_user_logs_in_at_the_gateway_behind_and_is_known_there_by_its_own_token(tmp_path: Path) -> None:
    inner_of = {"time": real("mcp-server-time")}
    async with gateway(tmp_path / "inner", inner_of, auth={"authority": {}}) as inner:
        await until_ready(inner)
        far = {"url": f"http://127.0.0.1:{inner.port}/mcp", "reads": {"tools": ["*"]}, "auth": {"user": {}}}
        async with gateway(tmp_path / "outer", {"far": far}) as outer:
            await until_ready(outer)
            asked = (await called(outer, "far_connect"))["result"]
            (question,) = asked["inputRequests"].values()

            browser = Browser()
            consent = await browser.send(await browser.get(question["params"]["url"]), credential=outer.token)
            assert f"127.0.0.1:{inner.port}" in consent.text
            login = await browser.send(consent, answer="allow")
            entering, *_ = forms(login)
            fields = {"user": "owner", "password": inner.token}
            inside = await browser.post(login, entering.action, **entering.hidden, **fields)
            agreeing, *_ = forms(inside)
            done = await browser.post(inside, agreeing.action, **agreeing.hidden, decision="allow")
            assert "far can be used for you" in done.text, done.text

            answers = {"login": {"action": "accept"}}
            told = await called(outer, "far_connect", requestState=asked["requestState"], inputResponses=answers)
            assert "result" in told, told
            assert "List the tools again" in told["result"]["content"][0]["text"]
            answer = await called(outer, "far_time_get_current_time")
            assert "result" in answer, (answer, outer.log[-6:], inner.log[-4:])
            assert json.loads(answer["result"]["content"][0]["text"])["timezone"] == "Europe/Paris"
        intents = [entry.leaf for entry in inner.world.audit() if entry.leaf.kind == "intent"]
        (called_inside,) = [leaf for leaf in intents if leaf.tool == "get_current_time"]
        # As the outer gateway, for the user who has logged in there.
        assert called_inside.client
