"""Logging in to a server over real HTTP, with a user, a browser and an authorization server that rotates what it gives."""

import asyncio
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener, urlopen

import pytest
from http_upstream import HttpUpstream
from oauth_world import World, answer, world

from douane.sdk import (
    CannotConnect,
    Client,
    ClientCredentials,
    EnterpriseIdentity,
    LoginFiles,
    OAuth,
    ServerError,
    WorkloadIdentity,
)
from douane.transports.http_server import Reply, Request

from .sse_server import Scripted

BOUND_S = 10.0


def by(user: World, **settings: Any) -> OAuth:
    """A login of a user who agrees to everything."""
    return OAuth(show=user.browse, patience_s=BOUND_S, **settings)


async def test_a_user_logs_in_in_his_browser_and_the_call_goes_on() -> None:
    async with world() as servers, Client(servers.url, auth=by(servers)) as client:
        assert (await client.call("echo", {"a": 1})).text == '{"a": 1}'
        assert servers.paths() == [
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/oauth-authorization-server",
            "/register",
            "/authorize",
            "/token",
        ]
        asked = servers.forms("/authorize")[0]
        assert asked["resource"] == servers.forms()[0]["resource"] == servers.url
        assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "read")
        assert asked["redirect_uri"].startswith("http://127.0.0.1:")
        assert servers.forms("/register")[0]["application_type"] == "native"


async def test_a_session_of_the_handshake_era_is_let_in_on_every_way_it_has() -> None:
    async with world() as servers:
        servers.mcp = mcp = HttpUpstream("handshake")
        async with Client(servers.url, auth=by(servers)) as client:
            await client.call("echo")
            await mcp.until("GET")
            servers.expire()
            await client.call("echo")
        heard = await mcp.until("DELETE")
        assert all(b"authorization" in one.request.headers for one in mcp.heard)
        assert heard.request.headers[b"authorization"] == b"Bearer " + servers.ran[-1].encode()
        assert servers.paths().count("/authorize") == 1


async def test_a_server_of_http_sse_is_logged_in_to_and_refreshed_on_its_posts() -> None:
    older = Scripted()

    def serve(request: Request, reply: Reply) -> None:
        if (request.method, request.path) == (b"POST", b"/mcp"):
            reply.send(405, [])
        else:
            older(request, reply)

    async with world() as servers:
        servers.mcp = serve
        async with Client(servers.url, auth=by(servers)) as client:
            await client.call("echo")
            servers.expire()
            await client.call("echo")
        assert len(set(servers.ran)) == 2
        assert servers.paths().count("/authorize") == 1


async def test_fifty_calls_refused_at_once_are_one_refresh_and_each_runs_once() -> None:
    async with world() as servers, Client(servers.url, auth=by(servers), deadline_s=BOUND_S) as client:
        await client.call("echo")
        servers.expire()
        servers.asked.clear()
        servers.ran.clear()
        before = servers.refused
        servers.slow = asyncio.Event()
        calls = [asyncio.ensure_future(client.call("echo", {"n": n})) for n in range(50)]
        await servers.when(lambda: servers.refused - before == 50 and "/token" in servers.paths())
        servers.slow.set()
        answers = await asyncio.gather(*calls)
        assert [one.text for one in answers] == [f'{{"n": {n}}}' for n in range(50)]
        assert [form["grant_type"] for form in servers.forms()] == ["refresh_token"]
        assert "/authorize" not in servers.paths()
        assert len(servers.ran) == 50
        assert len(set(servers.ran)) == 1


async def test_who_gives_up_in_the_middle_of_a_refresh_loses_nobodys_login() -> None:
    async with world() as servers, Client(servers.url, auth=by(servers), deadline_s=BOUND_S) as client:
        await client.call("echo")
        servers.expire()
        servers.slow = asyncio.Event()
        first = asyncio.ensure_future(client.call("echo"))
        await servers.when(lambda: servers.forms()[-1]["grant_type"] == "refresh_token")
        second = asyncio.ensure_future(client.call("echo"))
        first.cancel()
        await asyncio.wait({first})
        servers.slow.set()
        await second
        await client.call("echo")
        assert [form["grant_type"] for form in servers.forms()] == ["authorization_code", "refresh_token"]


async def test_a_client_that_is_closed_waits_for_no_user() -> None:
    shown, loop = asyncio.Event(), asyncio.get_running_loop()

    def show(url: str) -> None:
        loop.call_soon_threadsafe(shown.set)

    async with world() as servers:
        client = Client(servers.url, auth=OAuth(show=show, patience_s=600.0))
        opening = asyncio.ensure_future(client.__aenter__())
        await asyncio.wait_for(shown.wait(), BOUND_S)
        opening.cancel()
        await asyncio.wait({opening}, timeout=BOUND_S)
        assert opening.cancelled()


async def test_a_token_is_refreshed_before_it_ends_and_no_call_is_refused_for_it() -> None:
    async with world() as servers:
        servers.expires_in = 20
        async with Client(servers.url, auth=by(servers)) as client:
            before = servers.refused
            await asyncio.gather(*(client.call("echo") for _ in range(10)))
            assert servers.refused == before
            assert all(form["grant_type"] == "refresh_token" for form in servers.forms()[1:])
            assert servers.paths().count("/authorize") == 1


async def test_more_scopes_are_asked_for_beside_those_before_and_only_once() -> None:
    async with world() as servers, Client(servers.url, auth=by(servers)) as client:
        servers.needs_for = {"write": frozenset({"write"}), "all": frozenset({"nobody"})}
        await client.call("echo")
        await client.call("write")
        assert servers.forms("/authorize")[1]["scope"].split() == ["read", "write"]
        await client.call("echo")
        assert len(servers.forms("/authorize")) == 2
        servers.on["/token"] = lambda request, reply: without_scope(servers, request, reply)
        with pytest.raises(ServerError, match="wants the scope nobody, which was asked for and does not help"):
            await client.call("all")
        assert len(servers.forms("/authorize")) == 3
        assert servers.paths().count("/register") == 1


def without_scope(servers: World, request: Request, reply: Reply) -> None:
    answer(reply, {"access_token": "poor", "token_type": "Bearer"})
    servers.valid["poor"] = next(iter(servers.valid.values()))


async def test_a_server_that_refuses_what_was_just_granted_is_believed_and_nobody_logs_in_again() -> None:
    async with world() as servers:
        servers.on["/token"] = lambda request, reply: answer(reply, {"access_token": "no", "token_type": "Bearer"})
        with pytest.raises(CannotConnect, match=r"refuses the token that .* has just granted"):
            async with Client(servers.url, auth=by(servers)):
                pass
        assert servers.paths().count("/authorize") == 1


async def test_a_refused_login_is_told_to_all_who_wait_for_it_and_is_not_begun_again() -> None:
    def refuse(request: Request, reply: Reply) -> None:
        asked = servers.asked[-1].form
        back = f"{asked['redirect_uri']}?error=access_denied&state={asked['state']}&iss={servers.origin}"
        reply.send(302, [(b"location", back.encode())])

    async with world() as servers, Client(servers.url, auth=by(servers), deadline_s=BOUND_S) as client:
        servers.rotates = False
        servers.expire()
        servers.on["/token"] = lambda request, reply: answer(reply, {"error": "invalid_grant"}, 400)
        servers.on["/authorize"] = refuse
        ends = await asyncio.gather(*(client.call("echo") for _ in range(10)), return_exceptions=True)
        assert {type(end) for end in ends} == {ServerError}
        assert {str(end) for end in ends} == {"upstream: authorization server: the login was refused: access_denied"}
        assert servers.paths().count("/authorize") == 2, "the first was that of the opening"
        del servers.on["/token"], servers.on["/authorize"]
        assert (await client.call("echo")).text == "{}"


async def test_who_comes_while_a_login_is_refused_is_told_too() -> None:
    arrived: list[str] = []

    async with world() as servers:
        asked, go = asyncio.Event(), asyncio.Event()

        async def visit(url: str) -> str:
            arrived.append(url)
            if len(arrived) == 1:
                return await yes(url)
            asked.set()
            await go.wait()
            return "error=access_denied&state=" + url.split("state=")[1].split("&")[0] + "&iss=" + servers.origin

        async def yes(url: str) -> str:
            return await asyncio.to_thread(landed, url)

        auth = OAuth(redirect_uri="http://127.0.0.1:4000/callback", visit=visit)
        async with Client(servers.url, auth=auth, deadline_s=BOUND_S) as client:
            servers.expire()
            servers.on["/token"] = lambda request, reply: answer(reply, {"error": "invalid_grant"}, 400)
            first = asyncio.ensure_future(client.call("echo"))
            await asyncio.wait_for(asked.wait(), BOUND_S)
            before = servers.refused
            second = asyncio.ensure_future(client.call("echo"))
            await servers.when(lambda: servers.refused > before)
            go.set()
            ends = await asyncio.gather(first, second, return_exceptions=True)
        assert all("access_denied" in str(end) for end in ends)
        assert len(arrived) == 2


class _Stays(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def landed(url: str) -> str:
    """Where a user who agrees is sent back to."""
    try:
        build_opener(_Stays()).open(url, timeout=10)
    except HTTPError as sent:
        return sent.headers["location"]
    raise AssertionError(url)


async def test_nobody_who_comes_gives_the_call_its_end_in_time() -> None:
    async with world() as servers:
        auth = OAuth(show=lambda url: None, patience_s=0.05)
        with pytest.raises(CannotConnect, match=r"nobody logged in within 0.05 s"):
            async with Client(servers.url, auth=auth):
                pass


async def test_an_answer_of_another_login_is_not_taken_and_the_right_one_still_is() -> None:
    answered: list[int] = []

    def browse(url: str) -> None:
        back = url.split("redirect_uri=")[1].split("&")[0].replace("%3A", ":").replace("%2F", "/")
        for forged in ("?code=x&state=forged", "?code=x", "?state=a&state=b", "/other"):
            with suppress(OSError):
                urlopen(back + forged, timeout=5).close()
        answered.append(1)
        servers.browse(url)

    async with world() as servers:
        async with Client(servers.url, auth=OAuth(show=browse, patience_s=BOUND_S)) as client:
            await client.tools()
        assert (answered, len(servers.forms())) == ([1], 1)


async def test_a_token_bound_to_a_key_comes_with_a_proof_of_its_own_each_time_and_the_nonce_wanted(
    tmp_path: Path,
) -> None:
    async with world() as servers:
        servers.dpop = True
        for run in (1, 2):
            async with Client(servers.url, auth=by(servers, store=tmp_path / "logins")) as client:
                await asyncio.gather(*(client.call("echo") for _ in range(5)))
            assert servers.paths().count("/authorize") == 1, run
        # The first of each run learns which nonce is wanted; five calls begin with it.
        assert sum(proof.get("nonce") != "for-the-server" for proof in servers.proofs) == 2
        assert len({proof["jti"] for proof in servers.proofs}) == len(servers.proofs) == 14
        servers.expire()
        async with Client(servers.url, auth=by(servers, store=tmp_path / "logins")) as client:
            await client.call("echo")
        assert servers.forms()[-1]["grant_type"] == "refresh_token"


async def test_calls_that_are_all_told_of_the_same_new_nonce_are_all_sent_once_more() -> None:
    async with world() as servers:
        servers.dpop = True
        async with Client(servers.url, auth=by(servers)) as client:
            await client.call("echo")
            servers.nonce = "for-the-server, later"
            results = await asyncio.gather(*(client.call("echo") for _ in range(5)))
        assert not any(result.is_error for result in results)
        assert servers.paths().count("/authorize") == 1


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://mcp.example/mcp", "is not https, so what is sent there can be read on the way"),
        ("python nothing.py", "`auth` is for servers at a URL"),
        (["python", "nothing.py"], "`auth` is for servers at a URL"),
    ],
)
async def test_where_a_token_would_not_be_safe_nobody_logs_in(target: str | list[str], reason: str) -> None:
    with pytest.raises(CannotConnect, match=reason):
        async with Client(target, auth=OAuth()):
            pass


@pytest.mark.parametrize("uri", ["http://app.example/callback", "app:/callback", "https://app.example/#f", ""])
async def test_a_redirect_uri_that_can_be_read_on_the_way_is_not_used(uri: str) -> None:
    async def visit(url: str) -> str:
        raise AssertionError("nobody is sent away")

    async with world() as servers:
        with pytest.raises(CannotConnect, match="client: its redirect URI"):
            async with Client(servers.url, auth=OAuth(redirect_uri=uri, visit=visit)):
                pass
        assert "/register" not in servers.paths()


# --- what is kept between two runs ---


async def test_a_login_is_kept_for_the_next_run_and_the_registration_too(tmp_path: Path) -> None:
    async with world() as servers:
        for _ in range(2):
            async with Client(servers.url, auth=by(servers, store=tmp_path / "logins")) as client:
                await client.tools()
        assert servers.paths().count("/authorize") == 1
        kept = [path for path in (tmp_path / "logins").iterdir() if path.suffix == ".json"]
        assert [stat.S_IMODE(path.stat().st_mode) for path in kept] == [0o600]
        assert stat.S_IMODE((tmp_path / "logins").stat().st_mode) == 0o700
        servers.expire()
        servers.on["/token"] = lambda request, reply: burnt(servers, request, reply)
        async with Client(servers.url, auth=by(servers, store=tmp_path / "logins")) as client:
            await client.tools()
        assert servers.paths().count("/authorize") == 2
        assert servers.paths().count("/register") == 1, "it came back to the port it had registered"


def burnt(servers: World, request: Request, reply: Reply) -> None:
    del servers.on["/token"]
    answer(reply, {"error": "invalid_grant"}, 400)


async def test_settings_that_changed_are_what_counts_and_what_was_kept_for_others_is_not_used(tmp_path: Path) -> None:
    async with world() as servers:
        servers.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}

        async def run(**changed: str) -> None:
            given = {"client_id": "robot", "client_secret": "hidden", "issuer": servers.origin} | changed
            async with Client(servers.url, auth=ClientCredentials(**given, store=tmp_path / "logins")) as client:
                await client.tools()

        await run()
        await run()
        assert len(servers.forms()) == 1
        (kept,) = (path.read_text() for path in (tmp_path / "logins").glob("*.json"))
        assert "hidden" not in kept
        await run(client_id="other")
        assert [form["client_id"] for form in servers.forms()] == ["robot", "other"]
        with pytest.raises(CannotConnect, match="its client id was given by"):
            await run(issuer="https://login.example")


async def test_what_is_kept_and_cannot_be_read_costs_a_login_and_no_more(tmp_path: Path) -> None:
    async with world() as servers:
        auth = by(servers, store=tmp_path / "logins")
        for damage in (b"", b"{", b'{"login": {"tokens": 7}}', b"\xff" * 100):
            async with Client(servers.url, auth=auth) as client:
                await client.tools()
            for path in (tmp_path / "logins").glob("*.json"):
                path.write_bytes(damage)
        assert servers.paths().count("/authorize") == 4


@pytest.mark.parametrize(
    ("error", "registered", "logins"),
    [("invalid_grant", 1, 2), ("invalid_client", 2, 2), ("temporarily_unavailable", 1, 1)],
)
async def test_what_cannot_be_refreshed_ever_is_begun_anew_and_what_cannot_now_is_kept(
    error: str, registered: int, logins: int, tmp_path: Path
) -> None:
    def refuse(request: Request, reply: Reply) -> None:
        del servers.on["/token"]
        answer(reply, {"error": error}, 400)

    async with world() as servers:
        async with Client(servers.url, auth=by(servers, store=tmp_path / "logins")) as client:
            servers.expire()
            servers.on["/token"] = refuse
            if logins == 1:
                with pytest.raises(ServerError, match=error):
                    await client.call("echo")
            await client.call("echo")
        assert servers.paths().count("/register") == registered
        assert servers.paths().count("/authorize") == logins


async def test_two_clients_with_one_store_refresh_once_between_them(tmp_path: Path) -> None:
    async with world() as servers:
        first, second = (Client(servers.url, auth=by(servers, store=LoginFiles(tmp_path / "l"))) for _ in range(2))
        async with first, second:
            await asyncio.gather(first.call("echo"), second.call("echo"))
            servers.expire()
            servers.asked.clear()
            await asyncio.gather(*(client.call("echo") for client in (first, second) for _ in range(5)))
            assert [form["grant_type"] for form in servers.forms()] == ["refresh_token"]


async def test_a_refresh_token_that_was_lost_in_a_crash_costs_a_login_and_no_more(tmp_path: Path) -> None:
    async with world() as servers:
        store = Lost(tmp_path / "logins")
        async with Client(servers.url, auth=by(servers, store=store)) as client:
            await client.tools()
            servers.expire()
            store.is_lost = True
            with pytest.raises((ServerError, KeyboardInterrupt)):
                await client.tools()
        # What was given is gone, what was kept is used up: the authorization server burns it all.
        async with Client(servers.url, auth=by(servers, store=tmp_path / "logins")) as client:
            await client.tools()
        assert [form["grant_type"] for form in servers.forms()] == [
            "authorization_code",
            "refresh_token",
            "refresh_token",
            "authorization_code",
        ]


class Lost(LoginFiles):
    """A disk that fails after the token was given."""

    is_lost = False

    async def put(self, server: str, value: bytes) -> None:
        await (LoginFiles(Path("/proc/nowhere")) if self.is_lost else super()).put(server, value)


async def test_a_folder_that_others_may_look_into_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    async with world() as servers:
        with pytest.raises(CannotConnect, match="chmod 700"):
            async with Client(servers.url, auth=by(servers, store=folder)):
                pass
        assert "/token" not in servers.paths()


_RUN = """
import asyncio, sys
from pathlib import Path
from douane.sdk import Client, OAuth

async def main(url, folder):
    async with Client(url, auth=OAuth(store=Path(folder), show=lambda url: sys.exit("a login"))) as client:
        await client.call("echo")

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_that_share_a_login_refresh_it_once(tmp_path: Path) -> None:
    folder = tmp_path / "logins"
    async with world() as servers:
        async with Client(servers.url, auth=by(servers, store=folder)) as client:
            await client.tools()
        servers.expire()
        servers.asked.clear()
        servers.slow = asyncio.Event()
        runs = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", _RUN, servers.url, str(folder), env={**os.environ}
            )
            for _ in range(3)
        ]
        await servers.when(lambda: servers.refused == 4)
        servers.slow.set()
        assert [await asyncio.wait_for(run.wait(), 60.0) for run in runs] == [0, 0, 0]
        assert [form["grant_type"] for form in servers.forms()] == ["refresh_token"]


# --- without a user ---


async def test_a_program_logs_in_by_its_secret_and_again_when_its_token_has_ended() -> None:
    async with world() as servers:
        servers.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
        auth = ClientCredentials(client_id="robot:1", client_secret="a b%", issuer=servers.origin)
        async with Client(servers.url, auth=auth) as client:
            await client.call("echo")
            asked = servers.asked[-1]
            assert asked.form == {
                "grant_type": "client_credentials",
                "resource": servers.url,
                "scope": "read",
                "client_id": "robot:1",
            }
            assert asked.headers[b"authorization"] == b"Basic cm9ib3QlM0ExOmElMjBiJTI1"
            servers.expire()
            await client.call("echo")


async def test_what_one_authorization_server_gave_is_sent_to_no_other() -> None:
    async with world() as servers:
        auth = ClientCredentials(client_id="robot", client_secret="s", issuer="https://login.example")
        with pytest.raises(CannotConnect, match=r"its client id was given by 'https://login.example'"):
            async with Client(servers.url, auth=auth):
                pass
        assert "/token" not in servers.paths()


async def test_a_workload_shows_what_its_platform_signed_and_does_not_try_twice() -> None:
    audiences: list[str] = []

    async def signed(audience: str) -> str:
        audiences.append(audience)
        return "a.b.c"

    async with world() as servers:
        auth = WorkloadIdentity(client_id="w", token=signed)
        async with Client(servers.url, auth=auth) as client:
            await client.tools()
        assert audiences == [servers.origin]
        assert servers.forms()[0]["assertion"] == "a.b.c"
        servers.on["/token"] = lambda request, reply: answer(reply, {"error": "invalid_grant"}, 400)
        with pytest.raises(CannotConnect, match="gives no token: invalid_grant"):
            async with Client(servers.url, auth=auth):
                pass
        assert len(servers.forms()) == 2


async def test_a_user_of_an_enterprise_is_let_in_on_the_word_of_its_provider() -> None:
    kind = "urn:ietf:params:oauth:token-type:id-jag"
    async with world() as provider, world() as servers:
        given = {"access_token": "j.a.g", "issued_token_type": kind, "token_type": "N_A"}
        provider.on["/token"] = lambda request, reply: answer(reply, given)
        auth = EnterpriseIdentity(
            client_id="app", provider=provider.origin, provider_client_id="app-there", id_token=lambda issuer: "i.d.t"
        )
        async with Client(servers.url, auth=auth) as client:
            await client.call("echo")
        assert provider.forms()[0] == {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requested_token_type": kind,
            "subject_token": "i.d.t",
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "audience": servers.origin,
            "resource": servers.url,
            "scope": "read",
            "client_id": "app-there",
        }
        assert servers.forms()[0] == {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": "j.a.g",
            "resource": servers.url,
            "scope": "read",
            "client_id": "app",
        }


def test_what_is_printed_of_a_login_shows_no_secret() -> None:
    auth = ClientCredentials(client_id="c", client_secret="hidden", private_key="hidden")
    assert "hidden" not in repr(auth) + str(auth)
