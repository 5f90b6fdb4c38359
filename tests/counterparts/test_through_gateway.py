"""Every counterpart lists and calls through the gateway, over every door, and gets what it gets directly.

One real `douane up` stands before all servers; each client asks it once over each door, and each server once directly,
in the same words. `equal` says which fields may differ, and why; `interop` what was run, for the docs.
"""

import asyncio
import json
import re
import sys
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateway_clients import until_ready
from gateway_world import Gateway, World, gateway

from .commands import (
    CLIENTS,
    asked,
    asking,
    everything_http_server,
    everything_sse_server,
    free_port,
    inspector,
    inspector_by_config,
    listening,
)
from .equal import comparable, differences, heard_for_sure, nameless, without_withheld
from .interop import ASKING, INSPECTING, Asking
from .questions import RUN, SERVERS, Call, Question, lay_out, through

pytestmark = [pytest.mark.counterpart, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

LISTS = {"tools": "name", "resources": "", "resourceTemplates": "", "prompts": "name"}
"""What a client lists, and the field in which the gateway puts its prefix."""
ALL = {"tools": ["*"], "resources": ["*"], "prompts": ["*"]}
AT_ONCE = 2
Document = dict[str, Any]


class Place:
    """The files the servers tell of, and the gateways before them."""

    def __init__(self, files: Path, all_: Gateway, by_url: Mapping[str, Gateway], url: str) -> None:
        self.files, self.all, self.by_url, self.url = files, all_, by_url, url
        self._few = asyncio.Semaphore(AT_ONCE)

    async def asked(self, line: Sequence[str], gate: Gateway | None = None) -> Any:
        """The document of a client, in the home of `gate` when it is to find that one."""
        async with self._few:
            return await asked(line, env=(gate or self.all).world.env)

    async def document(self, who: Asking, calls: Sequence[Call], gate: Gateway | None = None, **where: Any) -> Document:
        """What `who` says of the server that `where` leads to, with these calls made under a name of their own."""
        run = uuid.uuid4().hex
        own = json.loads(json.dumps(list(calls)).replace(RUN, run))
        line = asking(CLIENTS[who.client](), calls=own, mode=who.mode, **where)
        return heard_for_sure(who.client, nameless(await self.asked(line, gate), run))

    async def through(self, who: Asking, calls: Sequence[Call], gate: Gateway) -> list[Document]:
        """The same through every door of a gateway that is for `who`."""
        doors = self.doors(gate)
        return await asyncio.gather(*(self.document(who, calls, gate, **doors[name]) for name in who.doors))

    def doors(self, gate: Gateway) -> dict[str, dict[str, Any]]:
        """How a client is told of each door of a gateway."""
        return {
            "http": {"url": f"http://127.0.0.1:{gate.port}/mcp", "token": gate.token},
            "stdio": {"stdio": joining(gate)},
            "sse": {"url": f"http://127.0.0.1:{gate.port}/sse", "token": gate.token},
        }


def joining(gate: Gateway) -> list[str]:
    return [sys.executable, "-m", "douane", "stdio", "--config", str(gate.world.config)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    files = tmp_path_factory.mktemp("through")
    lay_out(files)
    ports = {"http": free_port(), "sse": free_port()}
    urls = {"http": f"http://127.0.0.1:{ports['http']}/mcp", "sse": f"http://127.0.0.1:{ports['sse']}/sse"}
    upstreams = {name: {"command": server.command(files), "reads": ALL} for name, server in SERVERS.items()}
    async with (
        listening(everything_http_server(), ports["http"]),
        listening(everything_sse_server(), ports["sse"]),
        gateway(files / "home", upstreams) as all_,
        before(files / "far-http", urls["http"]) as by_http,
        before(files / "far-sse", urls["sse"]) as by_sse,
    ):
        by_url = {"http": by_http, "sse": by_sse}
        await asyncio.gather(until_ready(all_), *map(until_ready, by_url.values()))
        yield Place(files, all_, by_url, urls["http"])


@asynccontextmanager
async def before(home: Path, url: str) -> AsyncIterator[Gateway]:
    """A gateway of its own for a server by URL: a URI that two upstreams have is shown in another form."""
    world = World(home, {})
    world.config.write_text(json.dumps({"upstreams": {"everything": {"url": url, "reads": ALL}}}))
    running = await world.up()
    try:
        yield running
        assert await running.stop() == 0, running.log[-20:]
        assert await world.empty(), world.processes()
        assert running.complaints() == []
    finally:
        await running.kill()


@pytest.fixture(params=ASKING, ids=lambda who: who.name)
def who(request: pytest.FixtureRequest) -> Asking:
    return request.param


async def test_a_client_gets_through_every_door_what_it_gets_directly(who: Asking, place: Place) -> None:
    questions = {name: server.ask(place.files) for name, server in SERVERS.items()}
    directly = [
        place.document(who, [q.call for q in questions[name]], stdio=server.command(place.files))
        for name, server in SERVERS.items()
    ]
    calls = [through(name, q.call) for name in SERVERS for q in questions[name]]
    *direct, gated = await asyncio.gather(*directly, place.through(who, calls, place.all))
    for document in gated:
        assert document["protocolVersion"] == who.revision
        found = unlike(dict(zip(SERVERS, direct, strict=True)), document, questions)
        assert not found, "\n".join(found)


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_a_client_gets_from_a_server_by_url_what_it_gets_directly(
    who: Asking, transport: str, place: Place
) -> None:
    questions = SERVERS["everything"].ask(place.files)
    direct, gated = await asyncio.gather(
        place.document(who, [q.call for q in questions], url=place.url),
        place.through(who, [through("everything", q.call) for q in questions], place.by_url[transport]),
    )
    for document in gated:
        assert document["protocolVersion"] == who.revision
        found = unlike({"everything": direct}, document, {"everything": questions})
        assert not found, "\n".join(found)


async def test_the_gateway_speaks_with_each_server_the_newest_revision_that_it_knows(place: Place) -> None:
    spoken = {name: server.revision for name, server in SERVERS.items()}
    log = "\n".join(place.all.log)
    assert {name: re.findall(rf"upstream {name} is up \((.+?)\)", log) for name in SERVERS} == {
        name: [revision] for name, revision in spoken.items()
    }
    for by_url in place.by_url.values():
        assert f"upstream everything is up ({spoken['everything']})" in "\n".join(by_url.log)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_that_shows_no_text_of_a_401_tells_why_it_was_turned_away(mode: str, place: Place) -> None:
    url = place.doors(place.all)["http"]["url"]
    for token, why in (("wrong", "client: this token is not known here"), (None, "client: send the gateway's token")):
        said = await place.asked(asking(CLIENTS["py2"](), url=url, token=token, mode=mode))
        assert said["error"]["message"].startswith(why)


@pytest.mark.parametrize("who", INSPECTING, ids=lambda who: who.name)
async def test_the_inspector_gets_through_either_door_what_it_gets_directly(who: Asking, place: Place) -> None:
    config = place.files / "inspected.json"
    commands = {name: server.command(place.files) for name, server in SERVERS.items()} | {"gateway": joining(place.all)}
    # The inspector hands down no variables but these; without its home, the stdio door would start another gateway.
    env = place.all.world.env
    servers = {name: {"command": line[0], "args": line[1:], "env": env} for name, line in commands.items()}
    config.write_text(json.dumps({"mcpServers": servers}))
    era = ("--protocol-era", who.mode or "")
    door = place.doors(place.all)["http"]

    async def through_doors(method: str, *more: str) -> list[Document]:
        return await asyncio.gather(
            place.asked(inspector(door["url"], door["token"], method, *more, *era)),
            place.asked(inspector_by_config(config, "gateway", method, *more, *era)),
        )

    async def directly(method: str, names: Sequence[str], *more: str) -> dict[str, Document]:
        said = (place.asked(inspector_by_config(config, name, method, *more, *era)) for name in names)
        return dict(zip(names, await asyncio.gather(*said), strict=True))

    assert [said["protocolVersion"] for said in await through_doors("initialize")] == [who.revision] * 2
    for method, server, given, own in inspected(place.files):
        if who.mode == "auto" and not method.startswith("tools/"):
            continue
        names = tuple(SERVERS) if method == "tools/list" else (server,)
        direct, gated = await asyncio.gather(directly(method, names, *own), through_doors(method, *given))
        for said in gated:
            found = unlike_inspected(method, direct, said)
            assert not found, f"{method} {own}\n" + "\n".join(found)


def unlike_inspected(method: str, direct: Mapping[str, Document], gated: Document) -> list[str]:
    if method.endswith("/list"):
        (kind,) = LISTS.keys() & gated.keys()
        return unlike_list(kind, {name: without_withheld(name, said) for name, said in direct.items()}, gated)
    (alone,) = direct.values()
    return list(differences(comparable(alone), comparable(gated)))


def inspected(place: Path) -> list[tuple[str, str, list[str], list[str]]]:
    """Method, server, and the options that name the object: through the gateway, and directly."""
    tools = {
        "everything": ("get-structured-content", "location=Chicago"),
        "files": ("read_text_file", f"path={place / 'files' / 'still' / 'note.txt'}"),
        "git": ("git_log", f"repo_path={place / 'repository'}"),
        "hostile": ("echo", "text=plain"),
        "time": ("convert_time", "nothing=given"),
    }
    lists = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
    read = ["--uri", "demo://resource/static/document/features.md"]
    city = ["--prompt-args", "city=Paris"]
    return [
        *((method, "everything", [], []) for method in lists),
        *(
            (
                "tools/call",
                server,
                *([*("--tool-name", name), "--tool-arg", given] for name in (f"{server}_{own}", own)),
            )
            for server, (own, given) in tools.items()
        ),
        ("resources/read", "everything", read, read),
        (
            "prompts/get",
            "everything",
            *([*("--prompt-name", n), *city] for n in ("everything_args-prompt", "args-prompt")),
        ),
    ]


def unlike(alone: Mapping[str, Document], gated: Document, questions: Mapping[str, Sequence[Question]]) -> list[str]:
    """What of a document that came through the gateway is not as it is in the documents of the servers alone."""
    found = [f"error: {gated['error']}"] if "error" in gated else []
    for kind in LISTS:
        found += unlike_list(kind, alone, gated)
    answers = iter(gated["calls"])
    for name, asked_of in questions.items():
        for question, own in zip(asked_of, alone[name]["calls"], strict=True):
            answer = next(answers)
            at = f"{name} {json.dumps(question.call)}"
            found += unlike_answer(question, told(own, question), told(answer, question), at)
    return found


def unlike_list(kind: str, alone: Mapping[str, Document], gated: Document) -> list[str]:
    """The list of the gateway has to be the lists of the servers one after the other, in the order of their names."""
    union = [shown(item, kind, name) for name in sorted(alone) for item in alone[name].get(kind, [])]
    if not union:
        return [f"{kind}: no server has any"]
    return list(differences(union, [comparable(item, where=kind) for item in gated.get(kind, [])], kind))


def unlike_answer(question: Question, own: Document, answer: Document, at: str) -> list[str]:
    if not question.own:
        return list(differences(own, answer, at))
    refused = "client: unknown" in answer.get("error", {}).get("message", "")
    return [] if refused else [f"{at}: the gateway ought to say that there is no such thing, and said {answer}"]


def shown(item: Document, kind: str, server: str) -> Document:
    """An item of a server as the gateway shows it."""
    own, named_by = comparable(item, where=kind), LISTS[kind]
    return {**own, named_by: f"{server}_{own[named_by]}"} if named_by else own


def told(answer: Document, question: Question) -> Document:
    """Everything a client was told, whichever way."""
    kept = {key: comparable(answer[key], moment=question.moment) for key in ("result", "error") if key in answer}
    return kept | {key: answer[key] for key in ("progress",) if key in answer}
