import sys

from douane.sdk import Client, Reaching

from .suite import HERE

HOW = Reaching(cwd=str(HERE.parent))


async def test_the_fixture_serves_a_line_as_well() -> None:
    async with Client([sys.executable, "-m", "conformance.fixture", "stdio"], how=HOW) as client:
        assert {"test_simple_text", "json_schema_2020_12_tool"} <= {tool["name"] for tool in await client.tools()}
        assert (await client.call("test_simple_text")).text == "This is a simple text response for testing."
