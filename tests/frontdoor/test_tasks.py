"""Tasks of upstreams, looked after through the gateway: under ids of its own, judged as the call they came of."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import psutil
from gateway_clients import HttpClient, Message, http, stdio, tool
from gateway_world import BOUND_S, HERE, Upstream, gateway

CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
DECLARED = {CAPABILITIES: {"extensions": {"io.modelcontextprotocol/tasks": {}}}}
POLICY = """
@id("work") permit (principal, action == Douane::Action::"call", resource);
@id("label") forbid (principal, action == Douane::Action::"call", resource)
    when { context.arguments has label && context.arguments.label == "secret" };
@id("lists") permit (principal, action == Douane::Action::"list", resource);
"""


def upstream(**settings: Any) -> Upstream:
    """A server whose tools run as tasks."""
    command = [sys.executable, str(HERE / "task_fixture.py")]
    return {"command": command, "reads": {"tools": ["*"]}, **settings}


async def begin(client: HttpClient, name: str, **arguments: Any) -> Message:
    """The handle of a task."""
    made = (await client.ask("tools/call", tool(name, arguments), **DECLARED))["result"]
    assert made["resultType"] == "task"
    return made


async def of(client: HttpClient, id: str, method: str = "tasks/get", **params: Any) -> Message:
    return await client.ask(method, {"taskId": id, **params}, **DECLARED)


async def until_over(client: HttpClient, id: str) -> Message:
    async with asyncio.timeout(BOUND_S):
        while True:
            task = (await of(client, id))["result"]
            if task["status"] not in ("working", "input_required"):
                return task


async def test_a_task_is_begun_looked_at_and_ended_through_the_gateway(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"work": upstream()}) as running, http(running) as client:
        discovered = (await client.ask("server/discover"))["result"]["capabilities"]
        assert discovered["extensions"] == {"io.modelcontextprotocol/tasks": {}}
        made = await begin(client, "work_slow_compute", seconds=0.01, label="this")
        done = await until_over(client, made["taskId"])
        assert (done["taskId"], done["resultType"]) == (made["taskId"], "complete")
        assert done["result"]["content"] == [{"type": "text", "text": "computed this for 0.01 s"}]

        long = await begin(client, "work_slow_compute", seconds=3600)
        assert (await of(client, long["taskId"], "tasks/cancel"))["result"] == {"resultType": "complete"}
        assert (await of(client, long["taskId"]))["result"]["status"] == "cancelled"
        failed = await until_over(client, (await begin(client, "work_protocol_error_job"))["taskId"])
        assert (failed["status"], failed["error"]["code"]) == ("failed", -32603)

    calls = running.world.calls()
    of_task = [c for c in calls.values() if c.intents and c.intents[0].leaf.method.startswith("tasks/")]
    begun = {i for i, c in calls.items() if c.intents and c.intents[0].leaf.method == "tools/call"}
    assert of_task
    for recorded in of_task:
        leaf = recorded.intents[0].leaf
        # Each names the tool, the rule that let it pass, and the call the task came of.
        assert (leaf.server, leaf.decision, leaf.root in begun) == ("work", "allow", True)
        assert leaf.tool in ("slow_compute", "protocol_error_job")
    assert (await running.world.verified())["ok"] is True


async def test_who_does_not_declare_the_extension_gets_no_task_through_the_gateway(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"work": upstream()}) as running, http(running) as client:
        waited = (await client.call("work_slow_compute", seconds=0.01))["result"]
        assert waited["content"][0]["text"] == "computed  for 0.01 s"
        refused = (await client.call("work_failing_job"))["error"]
        assert (refused["code"], refused["data"]) == (-32021, {"requiredCapabilities": DECLARED[CAPABILITIES]})
        made = await begin(client, "work_slow_compute", seconds=3600)
        assert (await client.ask("tasks/get", {"taskId": made["taskId"]}))["error"]["code"] == -32021
        assert (await of(client, "never-given"))["error"]["code"] == -32602


async def test_a_task_is_judged_as_its_call_as_long_as_it_lives(tmp_path: Path) -> None:
    policy = tmp_path / "policy.cedar"
    policy.write_text(POLICY)
    config = {"policy": {"files": [str(policy)]}}
    # What is judged is the arguments of the call, which nobody says again.
    async with gateway(tmp_path / "home", {"work": upstream()}, **config) as running, http(running) as client:
        public = await begin(client, "work_slow_compute", seconds=3600, label="public")
        assert (await of(client, public["taskId"]))["result"]["status"] == "working"
        refused = await client.ask("tools/call", tool("work_slow_compute", {"label": "secret"}), **DECLARED)
        assert refused["error"]["code"] == 1403
        policy.write_text(POLICY.replace('"secret"', '"public"'))
        async with asyncio.timeout(BOUND_S):
            while "result" in (said := await of(client, public["taskId"])):
                pass
        assert (said["error"]["code"], "may not call work_slow_compute" in said["error"]["message"]) == (1403, True)


async def test_a_task_of_a_tool_is_not_there_where_the_tool_is_not(tmp_path: Path) -> None:
    servers = {
        "some": {"select": {"work": {"tools": ["greet"]}}},
        "others": {"select": {"work": {"tools": ["slow_compute"]}}},
    }
    async with gateway(tmp_path, {"work": upstream()}, servers=servers) as running, http(running) as whole:
        made = await begin(whole, "work_slow_compute", seconds=3600)
        for name, found in (("some", False), ("others", True)):
            async with http(running, f"/mcp/{name}") as client:
                assert ("result" in await of(client, made["taskId"])) is found


async def test_a_task_is_begun_on_a_line_and_found_over_http(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"work": upstream()}) as running, http(running) as client:
        async with stdio(running.world) as line:
            made = (await line.ask("tools/call", tool("work_slow_compute", {"seconds": 0.01}), **DECLARED))["result"]
        assert (await until_over(client, made["taskId"]))["status"] == "completed"


async def test_what_an_upstream_has_forgotten_is_forgotten(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"work": upstream()}) as running, http(running) as client:
        made = await begin(client, "work_slow_compute", seconds=3600)
        child = next(p for p in psutil.Process(running.process.pid).children(recursive=True) if serves(p))
        child.kill()
        async with asyncio.timeout(BOUND_S):
            # At first that the upstream is gone; then, that it knows no such task; and from there on we do not either.
            while (said := await of(client, made["taskId"]))["error"]["code"] != -32602:
                pass
        assert "there is no such task" in said["error"]["message"]
        assert (await of(client, made["taskId"]))["error"]["code"] == -32602


def serves(process: psutil.Process) -> bool:
    return "task_fixture.py" in " ".join(process.cmdline()) and not process.children()
