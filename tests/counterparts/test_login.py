"""Our client before a server on the official SDK that is its own authorization server, in both eras."""

import sys
from asyncio import to_thread
from pathlib import Path
from urllib.request import urlopen

import pytest

from douane.sdk import Client, OAuth

from .commands import HERE, free_port, listening

pytestmark = pytest.mark.counterpart


def agree(url: str) -> None:
    with urlopen(url, timeout=10) as page:
        page.read()


async def test_our_client_registers_logs_in_and_refreshes_at_an_official_server(tmp_path: Path) -> None:
    port = free_port()
    async with listening([sys.executable, str(HERE / "guarded_py2.py")], port, said=tmp_path / "said"):
        auth = OAuth(client_name="our client", show=agree, patience_s=20.0, store=tmp_path / "logins")
        # Its tokens end so soon that each request asks for another first: refresh tokens there are good once.
        for tokens in (1, 2):
            async with Client(f"http://127.0.0.1:{port}/mcp", auth=auth) as client:
                said = (await client.call("whoami")).text
                name, _, given = said.partition(": ")
                assert name == "our client"
                assert int(given.split()[0]) > tokens
        printed = await to_thread((tmp_path / "said").read_text)
        assert printed.count("POST /register") == printed.count("GET /authorize") == 1
