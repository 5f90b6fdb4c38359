"""Names: short enough for every client, never two for one tool, never one for two."""

import re
from pathlib import Path

from gateway_clients import http, missing_of, names_of, text_of
from gateway_world import gateway, witness

LONG = ["n" * 100 + "a", "n" * 100 + "b", "n" * 100]


async def test_long_and_odd_names_are_shortened_so_that_each_stays_itself(tmp_path: Path) -> None:
    odd = ["with space", "with/slash", "ünïcode", "with_space"]
    async with (
        gateway(tmp_path / "home", {"w": witness(tmp_path / "seen", *LONG, *odd)}) as running,
        http(running) as client,
    ):
        names = names_of(await client.ask("tools/list"))
        assert len(names) == len(set(names)) == 4 + len(LONG) + len(odd)
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in names)
        # Each answers with the name the upstream knows it by.
        assert {text_of(await client.call(name)) for name in names[4:]} == {*LONG, *odd}


async def test_the_same_names_come_back_after_a_restart(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen", *LONG)}) as running, http(running) as client:
        first = names_of(await client.ask("tools/list"))
    async with gateway(tmp_path / "home", {"w": witness(tmp_path / "seen", *LONG)}) as running, http(running) as client:
        assert names_of(await client.ask("tools/list")) == first


async def test_what_two_upstreams_would_show_under_one_name_is_shown_by_neither_and_named(tmp_path: Path) -> None:
    upstreams = {
        "a": witness(tmp_path / "a", "only_a", prefix="same_"),
        "b": witness(tmp_path / "b", "only_b", prefix="same_"),
    }
    async with gateway(tmp_path / "home", upstreams) as running, http(running) as client:
        listed = await client.ask("tools/list")
        assert set(names_of(listed)) == {"same_only_a", "same_only_b"}
        assert set(missing_of(listed)) == {"same_echo", "same_wait", "same_release", "same_work"}
        assert "prefix" in missing_of(listed)["same_echo"]
        assert text_of(await client.call("same_only_a")) == "only_a"
        assert (await client.call("same_echo", text="whose?"))["error"]["code"] == -32602
        assert b'"echo"' not in (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes()


async def test_a_prefix_may_be_empty(tmp_path: Path) -> None:
    upstreams = {"w": witness(tmp_path / "seen", prefix="")}
    async with gateway(tmp_path / "home", upstreams) as running, http(running) as client:
        assert set(names_of(await client.ask("tools/list"))) == {"echo", "wait", "release", "work"}
        assert text_of(await client.call("echo", text="bare")) == "bare"
