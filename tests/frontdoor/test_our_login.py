"""Our client logs in at a gateway that is its own authorization server: one product, two halves that know only the protocol."""

import time
from pathlib import Path

import pytest
from gateway_world import Gateway, until
from web import WebBrowser, parameters

from douane.audit.entry import Intent
from douane.sdk import CannotConnect, Client, OAuth

from .test_logging_in import up

CALLBACK = "http://127.0.0.1:4000/callback"


class User:
    """The owner: at his browser, who agrees to what he is asked."""

    def __init__(self, running: Gateway) -> None:
        self.base = f"http://127.0.0.1:{running.port}"
        self.token, self.asked = running.token, list[set[str]]()
        self.browser = WebBrowser(self.base)

    async def visit(self, url: str) -> str:
        password = "" if self.asked else self.token
        self.asked.append(set(parameters(url)["scope"].split()))
        return await self.browser.agree(url, "owner", password)


async def test_our_client_logs_in_steps_up_and_renews_at_our_gateway(tmp_path: Path) -> None:
    async with up(tmp_path / "home", authority={"access_minutes": 0.05}) as running:
        user = User(running)
        auth = OAuth(client_name="ours", redirect_uri=CALLBACK, visit=user.visit, store=tmp_path / "logins")
        async with Client(f"{user.base}/mcp", auth=auth) as client:
            assert (await client.call("a_look")).text == "look"
            assert (await client.call("a_change")).text == "change"
            stale_s = time.time() + 4
            await until(lambda: time.time() > stale_s)
            assert (await client.call("a_look")).text == "look"
        async with Client(f"{user.base}/mcp", auth=auth) as client:
            assert (await client.call("a_change")).text == "change"
        assert [scopes - {"offline_access"} for scopes in user.asked] == [{"mcp:read"}, {"mcp:read", "mcp:write"}]
    intents = [one.leaf for one in running.world.audit() if isinstance(one.leaf, Intent)]
    called = [leaf for leaf in intents if leaf.method == "tools/call"]
    assert [leaf.tool for leaf in called] == ["look", "change", "look", "change"]
    assert len({leaf.client for leaf in called}) == 1


async def test_a_user_who_says_no_is_not_asked_again_by_the_same_call(tmp_path: Path) -> None:
    async with up(tmp_path / "home") as running:
        user, asked = User(running), list[str]()

        async def refuse(url: str) -> str:
            asked.append(url)
            return f"{CALLBACK}?error=access_denied&state={parameters(url)['state']}&iss={user.base}"

        with pytest.raises(CannotConnect, match="the login was refused: access_denied"):
            async with Client(f"{user.base}/mcp", auth=OAuth(redirect_uri=CALLBACK, visit=refuse)):
                pass
        assert len(asked) == 1
