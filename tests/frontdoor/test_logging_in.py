"""Programs that others wrote log in at a gateway that is its own authorization server: from the first refusal to the next day."""

import asyncio
import base64
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from certificates import Authority
from counterparts.commands import HERE as COUNTERPARTS
from counterparts.commands import free_port, login_py, login_ts
from gateway_world import BIN, BOUND_S, Gateway, gateway, until, witness
from raw_http import Peer, events, newer
from web import WebBrowser, parameters

from douane.audit.entry import Denied, Intent
from douane.transports.http_guard import Guard
from douane.transports.http_server import Reply, Request, serve

DOCS = Path(__file__).parent.parent.parent / "docs"
PASSWORD = "correct horse battery"
AUTH: dict[str, Any] = {"authority": {}, "scopes": {"read": ["mcp:read"], "write": ["mcp:write"]}}
SDKS = pytest.mark.parametrize("sdk", ["py1", "py2", "ts1", "ts2"])


def program(sdk: str, url: str, *tools: str) -> list[str]:
    return login_py(int(sdk[2]), url, *tools) if sdk.startswith("py") else login_ts(int(sdk[2]), url, *tools)


@asynccontextmanager
async def up(home: Path, authority: Any = None, **config: Any) -> AsyncIterator[Gateway]:
    _permit_all(home)
    upstreams = {"a": witness(home / "seen", "look", "change", reads={"tools": ["look"]})}
    auth = {**AUTH, "authority": authority or {}}
    async with gateway(home, upstreams, auth=auth, policy={"files": ["all.cedar"]}, **config) as running:
        yield running


def _permit_all(home: Path) -> None:
    home.mkdir()
    (home / "all.cedar").write_text("permit(principal, action, resource);")


class Program:
    """One of the counterparts, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(BOUND_S):
            line = await self._process.stdout.readline()
        assert line, "the program has ended without a word"
        return json.loads(line)

    async def call(self, tool: str) -> str:
        """Let it make the call that it is about to make."""
        assert await self.said() == {"before": tool}
        await self.tell("go on")
        return (await self.said())["result"]["content"][0]["text"]

    async def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()


@asynccontextmanager
async def started(line: Sequence[str]) -> AsyncIterator[Program]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*line, stdin=pipe, stdout=pipe, cwd=COUNTERPARTS)
    try:
        yield Program(process)
        async with asyncio.timeout(BOUND_S):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.counterpart
@SDKS
async def test_a_client_of_each_official_sdk_logs_in_steps_up_and_renews(tmp_path: Path, sdk: str) -> None:
    async with up(tmp_path / "home", authority={"access_minutes": 0.05}) as running:
        base = f"http://127.0.0.1:{running.port}"
        browser = WebBrowser(base)
        async with started(program(sdk, f"{base}/mcp", "a_look", "a_change", "a_look")) as client:
            first = await client.said()
            asked = parameters(first["authorize"])
            assert (asked["code_challenge_method"], asked["resource"]) == ("S256", f"{base}/mcp")
            assert asked["scope"] == "mcp:read"
            await client.tell(await browser.agree(first["authorize"], "owner", running.token))
            assert await client.call("a_look") == "look"

            scopes = await _step_up(client, browser, sdk)

            stale_s = time.time() + 4
            await until(lambda: time.time() > stale_s)
            assert await client.call("a_look") == "look"
            told = await client.said()
        # Asked for, asked for more, and renewed when it had expired; some renew more often than they need to.
        assert [set(each.split()) for each in told["scopes"]][-1] == scopes
        assert len(told["scopes"]) >= 3
    log = running.world.audit()
    intents = [entry.leaf for entry in log if isinstance(entry.leaf, Intent) and entry.leaf.method == "tools/call"]
    changed = [] if sdk == "ts1" else ["change"]
    assert [leaf.tool for leaf in intents] == ["look", *changed, "look"]
    assert {leaf.client for leaf in intents} == {told["client"]}


async def _step_up(client: "Program", browser: WebBrowser, sdk: str) -> set[str]:
    """The scopes of the token with which a call that needs more was made."""
    assert await client.said() == {"before": "a_change"}
    await client.tell("go on")
    more = await client.said()
    if sdk == "ts1":
        # It renews its token, gets no more by that, and gives up: it never asks a person.
        assert "403" in more["error"]["message"]
        return {"mcp:read"}
    scopes = set(parameters(more["authorize"])["scope"].split())
    # The older Python SDK asks for what it lacks, and loses what it had.
    assert scopes == ({"mcp:write"} if sdk == "py1" else {"mcp:read", "mcp:write"})
    await client.tell(await browser.agree(more["authorize"], "owner", ""))
    assert (await client.said())["result"]["content"][0]["text"] == "change"
    return scopes


@asynccontextmanager
async def described(folder: Path, **changed: Any) -> AsyncIterator[str]:
    """The address of a client's document, served over TLS by an authority of its own."""
    pair = Authority(folder).issue("site")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair)
    document: dict[str, Any] = {}

    def page(request: Request, reply: Reply) -> None:
        reply.send(200, ((b"content-type", b"application/json"),), json.dumps(document).encode())

    port = free_port()
    server = await serve(page, guard=Guard([b"localhost:%d" % port]), port=port, tls=context)
    address = f"https://localhost:{port}/client.json"
    redirects = ["http://127.0.0.1:7777/callback"]
    document |= {"client_id": address, "client_name": "Documented", "redirect_uris": redirects, **changed}
    try:
        yield address
    finally:
        await server.aclose(1.0)


@pytest.mark.counterpart
@pytest.mark.parametrize("major", [1, 2])
async def test_a_client_that_is_known_by_its_document_need_not_register(tmp_path: Path, major: int) -> None:
    reach = {"documents_reach": "loopback", "registration": False}
    network = {"ca": str(tmp_path / "authority.pem")}
    async with described(tmp_path) as address, up(tmp_path / "home", authority=reach, network=network) as running:
        base = f"http://127.0.0.1:{running.port}"
        browser = WebBrowser(base)
        line = login_py(major, f"{base}/mcp", "a_look", "--document", address)
        async with started(line) as client:
            asked = (await client.said())["authorize"]
            assert parameters(asked)["client_id"] == address
            await client.tell(await browser.agree(asked, "owner", running.token))
            assert await client.call("a_look") == "look"
            assert (await client.said())["client"] == address
        await browser.get(asked)
        assert "Documented" in browser.page.text
        assert address in browser.page.text


async def test_a_document_is_not_fetched_from_where_we_should_not_reach(tmp_path: Path) -> None:
    network = {"ca": str(tmp_path / "authority.pem")}
    async with described(tmp_path) as address, up(tmp_path / "home", network=network) as running:
        browser = WebBrowser(f"http://127.0.0.1:{running.port}")
        asked = {"client_id": address, "redirect_uri": "http://127.0.0.1:7777/callback"}
        await browser.get(f"/oauth/authorize?{urlencode(asked)}")
        assert (browser.page.status, "out of reach" in browser.page.text) == (400, True)


class Hand:
    """A program that does all of it by hand."""

    def __init__(self, running: Gateway) -> None:
        self.running, self.base = running, f"http://127.0.0.1:{running.port}"
        self.browser = WebBrowser(self.base)
        self.client = ""

    async def register(self) -> None:
        callback = f"{self.base}/cb"
        made = await self.browser.post_json("/oauth/register", {"redirect_uris": [callback], "client_name": "Hand"})
        self.client = made["client_id"]

    async def log_in(self, name: str, password: str, path: str = "/mcp", scope: str = "mcp:read") -> dict[str, Any]:
        if not self.client:
            await self.register()
        asked = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": f"{self.base}/cb",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
            "resource": f"{self.base}{path}",
            "scope": scope,
        }
        landed = parameters(await self.browser.agree(f"/oauth/authorize?{urlencode(asked)}", name, password))
        form = {"code": landed["code"], "redirect_uri": f"{self.base}/cb", "client_id": self.client}
        verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        page = await self.browser.post("/oauth/token", grant_type="authorization_code", code_verifier=verifier, **form)
        return json.loads(page.text)

    async def call(self, token: str, tool: str = "a_look", path: str = "/mcp") -> Any:
        return await Peer(self.running.port, token, path).post("tools/call", newer(name=tool, arguments={}))


async def test_who_was_added_is_let_in_with_groups_and_removed_is_out_within_seconds(tmp_path: Path) -> None:
    async with up(tmp_path / "home") as running:
        assert (await running.world.run("user", "add", "ann", "--group", "desk", typed=PASSWORD)).code == 0
        hand = Hand(running)
        tokens = await hand.log_in("ann", PASSWORD)
        assert (await hand.call(tokens["access_token"])).status == 200
        refused = await hand.call(tokens["access_token"], "a_change")
        assert refused.status == 403
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
        assert (await running.world.run("user", "remove", "ann", "--yes")).code == 0
        removed_s = time.monotonic()
        async with asyncio.timeout(BOUND_S):
            # Another process has removed her, and tells nobody.
            while (answer := await hand.call(tokens["access_token"])).status == 200:
                pass
        assert time.monotonic() - removed_s < 5.0
        assert (answer.status, "invalid_token" in answer.headers.get("www-authenticate", "")) == (401, True)
        page = await hand.browser.post(
            "/oauth/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_id=hand.client
        )
        assert (page.status, json.loads(page.text)["error"]) == (400, "invalid_grant")


async def test_a_stream_ends_when_what_opened_it_is_taken_back(tmp_path: Path) -> None:
    async with up(tmp_path / "home") as running:
        hand = Hand(running)
        tokens = await hand.log_in("owner", running.token)
        peer = Peer(running.port, tokens["access_token"])
        async with peer.wire() as line:
            await peer.begin(line, "subscriptions/listen", newer(notifications={"toolsListChanged": True}))
            assert (await line.status())[0] == 200
            revoked = await hand.browser.post("/oauth/revoke", token=tokens["access_token"], client_id=hand.client)
            assert revoked.status == 200
            async with asyncio.timeout(6.0):
                async for _ in events(line):
                    pass


async def test_a_token_for_one_endpoint_is_good_there_alone_and_none_can_be_made_up(tmp_path: Path) -> None:
    servers = {"desk": {"select": {"a": {"tools": ["*"]}}}}
    async with up(tmp_path / "home", servers=servers) as running:
        hand = Hand(running)
        whole = (await hand.log_in("owner", running.token))["access_token"]
        desk = (await hand.log_in("owner", running.token, "/mcp/desk"))["access_token"]
        assert (await hand.call(whole)).status == 200
        assert (await hand.call(desk, path="/mcp/desk")).status == 200
        head, claims, signature = whole.split(".")
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")
        wrong = [
            (desk, "/mcp"),
            (whole, "/mcp/desk"),
            (f"{none}.{claims}.", "/mcp"),
            (f"{head}.{desk.split('.')[1]}.{signature}", "/mcp/desk"),
            (f"{head}.{claims}.{'A' * len(signature)}", "/mcp"),
        ]
        for token, path in wrong:
            answer = await hand.call(token, path=path)
            assert (answer.status, "invalid_token" in answer.headers.get("www-authenticate", "")) == (401, True)
    log = running.world.audit()
    assert any(isinstance(entry.leaf, Denied) and "not issued for this server" in entry.leaf.reason for entry in log)


async def test_who_tries_passwords_and_other_peoples_forms_is_written_down(tmp_path: Path) -> None:
    async with up(tmp_path / "home") as running:
        hand = Hand(running)
        await hand.register()
        asked = {"client_id": hand.client, "redirect_uri": "https://evil.example/cb"}
        assert (await hand.browser.get(f"/oauth/authorize?{urlencode(asked)}")).status == 400
        await hand.browser.get("/oauth/account")
        assert (await hand.browser.submit("/oauth/login", user="owner", password="wrong")).status == 403
    log = running.world.audit()
    reasons = [entry.leaf.reason for entry in log if isinstance(entry.leaf, Denied) and entry.leaf.door == "login"]
    assert reasons, "nothing was written down"


async def test_the_example_of_the_page_is_a_gateway_that_people_can_log_in_at(tmp_path: Path) -> None:
    example = yaml.safe_load((DOCS / "examples" / "team.yaml").read_text())
    text = (DOCS / "people.md").read_text()
    assert (DOCS / "examples" / "team.yaml").read_text() in text
    example["upstreams"]["time"]["command"] = [str(BIN / "mcp-server-time")]
    async with gateway(tmp_path / "home", example.pop("upstreams"), **example) as running:
        hand = Hand(running)
        tokens = await hand.log_in("owner", running.token)
        assert tokens["scope"] == "mcp:read"
        answer = await Peer(running.port, tokens["access_token"]).post(
            "tools/call", newer(name="time_get_current_time", arguments={"timezone": "UTC"})
        )
        assert (answer.status, "isError" in answer.message["result"]) in ((200, True), (200, False))


async def test_the_command_line_logs_in_by_a_code_and_stays_so(tmp_path: Path) -> None:
    async with up(tmp_path / "home") as running:
        base = f"http://127.0.0.1:{running.port}"
        pipe = asyncio.subprocess.PIPE
        elsewhere = running.world.env | {"DOUANE_HOME": str(tmp_path / "elsewhere")}
        line = [BIN / "douane", "login", f"{base}/mcp", "--token"]
        process = await asyncio.create_subprocess_exec(*line, env=elsewhere, stdout=pipe, stderr=pipe)
        assert process.stderr is not None
        async with asyncio.timeout(BOUND_S):
            words = (await process.stderr.readline()).decode()
        found = re.fullmatch(r"douane: open (\S+) and see that it shows ([A-Z]{4}-[A-Z]{4})\n", words)
        assert found, words
        browser = WebBrowser(base)
        await browser.get(found[1])
        await browser.submit("/oauth/login", user="owner", password=running.token)
        assert found[2] in browser.page.text
        assert "Douane command line" in browser.page.text
        await browser.submit("/oauth/device", decision="allow")
        async with asyncio.timeout(BOUND_S):
            out, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
        assert (await Hand(running).call(out.decode().strip())).status == 200
        again = await asyncio.create_subprocess_exec(*line, env=elsewhere, stdout=pipe, stderr=pipe)
        async with asyncio.timeout(BOUND_S):
            out, err = await again.communicate()
        assert (again.returncode, err) == (0, b"")
        assert (await Hand(running).call(out.decode().strip())).status == 200
