"""The client the suite asks: what it is to do has the name of the scenario.

`python -m conformance.client URL`, or `python -m conformance.client --between URL` with a gateway in the middle.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener

from douane.auth.credentials import LoginFailed
from douane.sdk import (
    CannotConnect,
    Client,
    ClientCredentials,
    EnterpriseIdentity,
    OAuth,
    Reaching,
    ServerError,
    WorkloadIdentity,
)
from douane.sdk.target import Auth

from .between import before
from .tally import COMPLETED

Does = Callable[[Client], Awaitable[None]]

_VALUES = {"string": "value", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}, "null": None}


async def greet(client: Client) -> None:
    await client.tools()


async def add_numbers(client: Client) -> None:
    await client.tools()
    await client.call("add_numbers", {"a": 5, "b": 3})


async def call_all(client: Client) -> None:
    """Every tool that is left after the list was read."""
    for tool in await client.tools():
        await client.call(tool["name"], _arguments(tool["inputSchema"]))


def _arguments(schema: Mapping[str, Any]) -> dict[str, Any]:
    required = schema.get("required", ())
    return {name: _VALUES[one.get("type", "null")] for name, one in schema["properties"].items() if name in required}


async def ask_for_everything(client: Client) -> None:
    await call_all(client)
    for resource in await client.resources():
        await client.read(resource["uri"])
    for prompt in await client.prompts():
        await client.prompt(prompt["name"])


async def replay(client: Client) -> None:
    """The calls the scenario hands over."""
    await client.tools()
    for call in json.loads(os.environ["MCP_CONFORMANCE_CONTEXT"])["toolCalls"]:
        await client.call(call["name"], call["arguments"])


async def answer_with_defaults(client: Client) -> None:
    await client.tools()
    await client.call("test_client_elicitation_defaults")


async def reconnect(client: Client) -> None:
    await client.tools()
    await client.call("test_reconnection")


async def go_through_rounds(client: Client) -> None:
    """One with a state, another in the middle of it, one without a state, one whose result says no type."""
    await client.tools()
    await asyncio.gather(client.call("test_mrtr_echo_state"), client.call("test_mrtr_unrelated"))
    await client.call("test_mrtr_no_state")
    await client.call("test_mrtr_no_result_type")


async def echo_schema(client: Client) -> None:
    schemas = {tool["name"]: tool["inputSchema"] for tool in await client.tools()}
    await client.call("json_schema_echo", {"schema": schemas["json_schema_2020_12_tool"]})


async def use(client: Client) -> None:
    await client.tools()
    await client.call("test-tool")


async def list_twice(client: Client) -> None:
    """The second time its authorization server is another one."""
    await client.tools()
    await client.tools()


async def is_refused(client: Client) -> None:
    """It cannot even be asked."""
    try:
        await client.tools()
    except ServerError:
        return
    sys.exit("it was let in where it must not have gone on")


DOES: Mapping[str, Does] = {
    "initialize": greet,
    "tools_call": add_numbers,
    "elicitation-sep1034-client-defaults": answer_with_defaults,
    "sse-retry": reconnect,
    "request-metadata": greet,
    "sep-2322-client-request-state": go_through_rounds,
    "http-standard-headers": ask_for_everything,
    "http-custom-headers": replay,
    "http-invalid-tool-headers": call_all,
    "json-schema-ref-no-deref": greet,
    "json-schema-2020-12-preservation": echo_schema,
    "auth/authorization-server-migration": list_twice,
}
_REFUSED = frozenset(
    f"auth/{name}"
    for name in (
        *("resource-mismatch", "metadata-issuer-mismatch", "scope-retry-limit"),
        *("iss-supported-missing", "iss-wrong-issuer", "iss-unexpected", "iss-normalized"),
    )
)
"""The client has done well when it has not gone on."""


async def accept(message: str, form: Mapping[str, Any]) -> Mapping[str, Any]:
    """A form, filled in with its defaults and nothing else."""
    fields: Mapping[str, Mapping[str, Any]] = form.get("properties", {})
    return {name: field["default"] for name, field in fields.items() if "default" in field}


async def say(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"role": "assistant", "model": "none", "content": {"type": "text", "text": "Hello."}}


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


async def visit(url: str) -> str:
    """A user who agrees to everything: where he is sent back to."""

    def go() -> str:
        try:
            build_opener(_NoRedirect()).open(url, timeout=10)
        except HTTPError as answer:
            return answer.headers["location"]
        raise LoginFailed("the page sent nobody back")

    return await asyncio.to_thread(go)


def auth(scenario: str) -> Auth | None:
    """How to log in, with what the scenario hands over."""
    told: Mapping[str, str] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    match scenario.removeprefix("auth/"):
        case name if name == scenario:
            return None
        case "client-credentials-jwt":
            return ClientCredentials(client_id=told["client_id"], private_key=told["private_key_pem"])
        case "client-credentials-basic":
            return ClientCredentials(client_id=told["client_id"], client_secret=told["client_secret"])
        case "wif-jwt-bearer":
            return WorkloadIdentity(client_id=told["client_id"], token=told["valid_jwt"])
        case "enterprise-managed-authorization":
            return EnterpriseIdentity(
                client_id=told["client_id"],
                client_secret=told["client_secret"],
                provider=told["idp_issuer"],
                provider_client_id=told["idp_client_id"],
                id_token=told["idp_id_token"],
            )
        case _:
            return OAuth(
                client_id=told.get("client_id"),
                client_secret=told.get("client_secret"),
                client_metadata_url="https://conformance-test.local/client-metadata.json",
                redirect_uri="http://localhost:3000/callback",
                visit=visit,
            )


async def act(url: str, how: Reaching | None = None) -> None:
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    does = DOES.get(scenario, use)
    try:
        async with Client(
            url, deadline_s=20.0, how=how, auth=auth(scenario), elicit=accept, sample=say, roots=["/"]
        ) as client:
            await (is_refused if scenario in _REFUSED else does)(client)
    except CannotConnect as exc:
        if scenario not in _REFUSED:
            raise
        print(f"refused: {exc}")


async def main(*words: str) -> None:
    match words:
        case ["--between", url]:
            async with before(url, apart=False) as (front, token):
                await act(front, Reaching(headers={"Authorization": f"Bearer {token}"}))
        case [url]:
            await act(url)
        case _:
            sys.exit("usage: python -m conformance.client [--between] URL")
    print(COMPLETED)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
