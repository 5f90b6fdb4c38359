"""Names: short enough for every client, never two for one tool, never one for two."""

import re
from pathlib import Path

from gateway_clients import http, names_of, text_of
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


async def test_what_two_upstreams_would_show_under_one_name_stays_callable_at_both(tmp_path: Path) -> None:
    upstreams = {
        "a": witness(tmp_path / "a", "only_a", prefix="same_"),
        "b": witness(tmp_path / "b", "only_b", prefix="same_"),
    }
    async with gateway(tmp_path / "home", upstreams) as running, http(running) as client:
        names = names_of(await client.ask("tools/list"))
        assert len(names) == len(set(names)) == 10
        echoes = [name for name in names if name.startswith("same_echo")]
        for name in echoes:
            assert text_of(await client.call(name, text=name)) == name
        # Each went to one of them.
        for echo, upstream in zip(echoes, "ab", strict=True):
            assert echo.encode() in (tmp_path / upstream).read_bytes()
        assert text_of(await client.call("same_only_a")) == "only_a"
        assert (await client.call("same_echo", text="whose?"))["error"]["code"] == -32602
    async with gateway(tmp_path / "home", upstreams) as running, http(running) as client:
        assert names_of(await client.ask("tools/list")) == names


async def test_what_the_operator_named_is_callable_and_the_other_of_that_name_too(tmp_path: Path) -> None:
    upstreams = {
        "a": witness(tmp_path / "a", "only_a", tools={"only_a": {"as": "b_only_b"}}),
        "b": witness(tmp_path / "b", "only_b"),
    }
    async with gateway(tmp_path / "home", upstreams) as running, http(running) as client:
        names = names_of(await client.ask("tools/list"))
        assert text_of(await client.call("b_only_b")) == "only_a"
        (other,) = (name for name in names if name.startswith("b_only_b_"))
        assert text_of(await client.call(other)) == "only_b"


async def test_a_prefix_may_be_empty(tmp_path: Path) -> None:
    upstreams = {"w": witness(tmp_path / "seen", prefix="")}
    async with gateway(tmp_path / "home", upstreams) as running, http(running) as client:
        assert set(names_of(await client.ask("tools/list"))) == {"echo", "wait", "release", "work"}
        assert text_of(await client.call("echo", text="bare")) == "bare"
