"""A home has one gateway, and a gateway one configuration: who means another is told, and joins nothing."""

import json
from pathlib import Path

import pytest
from gateway_world import World, gateway, hostile

pytestmark = pytest.mark.slow


def another(world: World) -> Path:
    path = world.home / "another.yaml"
    path.write_text(json.dumps({"upstreams": {"other": hostile()}}))
    return path


@pytest.mark.parametrize(
    "verb",
    [("stdio",), ("list",), ("call", "hostile_echo"), ("allow", "hostile_echo"), ("export", "--format", "openai")],
    ids=lambda verb: verb[0],
)
async def test_who_means_another_configuration_than_the_running_one_is_refused_and_told_the_remedy(
    tmp_path: Path, verb: tuple[str, ...]
) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        world = running.world
        config = another(world)
        ran = await world.run(*verb, "--config", str(config))
        assert (ran.code, ran.out) == (5, "")
        assert f"serves {world.config}, and {config} was asked for" in ran.err
        assert f"--config {world.config} joins it" in ran.err
        assert "Traceback" not in ran.err
        assert not (world.home / "config" / "allowed.cedar").exists()
        assert (await world.run("list", "--config", str(world.config))).code == 0


async def test_the_same_configuration_by_another_name_is_the_same(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        link = tmp_path / "linked.yaml"
        link.symlink_to(running.world.config)
        assert (await running.world.run("list", "--config", link.name)).code == 0


async def test_after_the_gateway_has_ended_another_configuration_may_start_one(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        world = running.world
        config = another(world)
    world.config = config
    again = await world.up()
    try:
        ran = await world.run("list", "--json", "--config", str(config))
        assert "other_echo" in ran.out
    finally:
        assert await again.stop() == 0


async def test_a_gateway_that_does_not_say_what_it_serves_is_not_joined(tmp_path: Path) -> None:
    async with gateway(tmp_path, {"hostile": hostile()}) as running:
        world = running.world
        world.paths.serving.write_text("{")
        ran = await world.run("stdio", "--config", str(world.config))
        assert ran.code == 5
        assert "does not say which configuration it serves" in ran.err
