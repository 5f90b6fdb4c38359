"""Tools that run as tasks, with clients and a server that this project did not write: directly, and through the gateway."""

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from gateway_clients import http, until_ready
from gateway_world import Gateway, gateway

from douane.sdk import Client, ServerError

from .commands import HERE, asked, everything_http_server, everything_server, free_port, listening, node

pytestmark = pytest.mark.counterpart

FIXTURE = HERE.parent / "task_fixture.py"
MODERN = "2026-07-28"
BOUND_S = 30.0
CALLS: list[dict[str, Any]] = [
    {"tool": "slow_compute", "arguments": {"seconds": 0.05, "label": "this"}},
    {"tool": "failing_job"},
    {"tool": "protocol_error_job"},
    {"tool": "slow_compute", "arguments": {"seconds": 3600}, "cancel": True},
]
ASKING: list[dict[str, Any]] = [{"tool": name} for name in ("confirm_delete", "multi_input", "test_tool_with_task")]
RESEARCH = "simulate-research-query"


async def by(client: str, url: str, calls: list[dict[str, Any]], **more: Any) -> Any:
    """What one of the official clients says of these calls."""
    return await asked([node(), str(HERE / client), json.dumps({"url": url, "headers": {}, "calls": calls, **more})])


def through(running: Gateway) -> dict[str, Any]:
    return {"headers": {"authorization": f"Bearer {running.token}"}}


def named(prefix: str, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call | {"tool": prefix + call["tool"]} for call in calls]


def text(result: Mapping[str, Any]) -> str:
    return result["result"]["content"][0]["text"]


def check_modern(results: list[Any]) -> None:
    done, broken, failed, cancelled = results
    assert {result["kind"] for result in results} == {"task"}
    assert (done["status"], text(done)) == ("completed", "computed this for 0.05 s")
    assert (broken["status"], broken["result"]["isError"]) == ("completed", True)
    assert (failed["status"], failed["error"]["code"]) == ("failed", -32603)
    assert cancelled["status"] == "cancelled"


def check_older(results: list[Any]) -> None:
    done, broken, failed, cancelled = results
    assert {result["seen"][0] for result in results} == {"taskCreated"}
    assert (done["status"], text(done)) == ("completed", "computed this for 0.05 s")
    assert (broken["status"], broken["result"]["isError"]) == ("completed", True)
    assert failed["error"]["message"].endswith(" failed")
    assert cancelled["error"]["message"].endswith(" was cancelled")


async def test_the_official_clients_look_after_tasks_of_a_server_on_the_sdk() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    async with listening([sys.executable, str(FIXTURE), "http", str(port)], port):
        modern = await by("tasks_ts2.mjs", url, [*CALLS, *ASKING, {"tool": "greet"}], mode=MODERN)
        check_modern(modern["results"][:4])
        assert [text(result) for result in modern["results"][4:]] == [
            *("a.txt is deleted", "Ann 2 and Ann 3", "Hello, Ann 4!", "Hello, World!"),
        ]
        # The last tool that asks does so before it is a task, and the one after it is none.
        assert [one["delivery"] for one in modern["asked"]] == [*["task-update"] * 3, "request-retry"]
        assert modern["results"][-1]["kind"] == "immediate"

        older = await by("tasks_ts1.mjs", url, [*CALLS, *ASKING, {"tool": "greet"}])
        check_older(older["results"][:4])
        assert [text(result) for result in older["results"][4:7]] == [
            *("a.txt is deleted", "Ann 2 and Ann 3", "Hello, Ann 4!"),
        ]
        assert ["task" in one for one in older["asked"]] == [True, True, True, False]
        assert older["results"][-1]["error"]["code"] == -32601
        assert (older["support"]["slow_compute"], older["support"]["failing_job"]) == ("optional", "required")
        # All its tasks, in whichever era they were begun.
        assert older["listed"] == 14


async def test_the_official_clients_look_after_tasks_through_the_gateway(tmp_path: Path) -> None:
    work = {"command": [sys.executable, str(FIXTURE)], "reads": {"tools": ["*"]}}
    async with gateway(tmp_path, {"work": work}) as running:
        await until_ready(running)
        assert f"upstream work is up ({MODERN})" in "\n".join(running.log)
        url, calls = f"http://127.0.0.1:{running.port}/mcp", named("work_", [*CALLS, *ASKING])
        modern, older = await asyncio.gather(
            by("tasks_ts2.mjs", url, calls, mode=MODERN, **through(running)),
            by("tasks_ts1.mjs", url, [*calls, {"tool": "work_greet"}], **through(running)),
        )
        check_modern(modern["results"][:4])
        check_older(older["results"][:4])
        said = ["a.txt is deleted", "Ann 2 and Ann 3", "Hello, Ann 4!"]
        assert [text(result) for result in modern["results"][4:]] == said
        assert [text(result) for result in older["results"][4:7]] == said
        # Which tools may is not said in the newest era, so any may: one that just answers is over when it begins.
        assert set(older["support"].values()) == {"optional"}
        assert (text(older["results"][7]), older["listed"]) == ("Hello, World!", None)


@pytest.mark.parametrize("where", ["stdio", "http"])
async def test_a_server_of_2025_11_25_runs_tasks_for_every_client_of_the_gateway(tmp_path: Path, where: str) -> None:
    async with AsyncExitStack() as stack:
        if where == "http":
            port = free_port()
            await stack.enter_async_context(listening(everything_http_server(), port))
            upstream: dict[str, Any] = {"url": f"http://127.0.0.1:{port}/mcp"}
        else:
            upstream = {"command": everything_server()}
        running = await stack.enter_async_context(gateway(tmp_path, {"all": upstream | {"reads": {"tools": ["*"]}}}))
        await until_ready(running)
        assert "upstream all is up (2025-11-25)" in "\n".join(running.log)
        url, tool = f"http://127.0.0.1:{running.port}/mcp", f"all_{RESEARCH}"
        research = {"tool": tool, "arguments": {"topic": "tea"}}
        client = await stack.enter_async_context(http(running))
        modern, older, waited = await asyncio.gather(
            by("tasks_ts2.mjs", url, [research, research | {"cancel": True}], mode=MODERN, **through(running)),
            by("tasks_ts1.mjs", url, [research], **through(running)),
            client.call(tool, topic="tea"),
        )
        done, cancelled = modern["results"]
        assert (done["kind"], done["status"], "tea" in text(done)) == ("task", "completed", True)
        assert cancelled["status"] == "cancelled"
        assert older["results"][0]["seen"][0] == "taskCreated"
        assert "tea" in text(older["results"][0])
        # Who can look after no task waits for what runs as one only.
        assert "tea" in text(waited)


async def test_a_client_on_the_sdk_runs_tasks_of_a_server_of_2025_11_25() -> None:
    async with Client(everything_server(), deadline_s=BOUND_S) as client:
        assert "tea" in (await client.call(RESEARCH, {"topic": "tea"})).text

        def heard(done: float, total: float | None, message: str | None) -> None:
            return

        # Whoever wants to hear of progress waits for a tool that runs as a task only all the same.
        assert "tea" in (await client.call(RESEARCH, {"topic": "tea"}, on_progress=heard)).text
        task = await client.start(RESEARCH, {"topic": "tea"})
        standing = await task.look()
        assert standing is not None
        assert (standing.status, standing.poll_ms) == ("working", 1000)
        await task.cancel()
        with pytest.raises(ServerError, match="the task was cancelled"):
            await task.result()
        # It makes nothing of one that is over, and of none.
        await client.task(task.id).cancel()
        with pytest.raises(ServerError) as none:
            await client.task("none").cancel()
        assert none.value.code == -32602
