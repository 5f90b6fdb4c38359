"""Where things live, as a function of the environment."""

from pathlib import Path

import pytest

from douane.config.paths import Paths, find_config, paths_for


def test_one_folder_holds_everything_where_it_is_named() -> None:
    assert paths_for({"DOUANE_HOME": "/d", "HOME": "/h", "XDG_DATA_HOME": "/x"}) == Paths(
        Path("/d/config"), Path("/d/data"), Path("/d/run/douane.sock")
    )


def test_otherwise_the_xdg_folders_are_used() -> None:
    assert paths_for({"HOME": "/h"}) == Paths(
        Path("/h/.config/douane"), Path("/h/.local/share/douane"), Path("/h/.local/share/douane/run/douane.sock")
    )
    env = {"HOME": "/h", "XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "/s", "XDG_RUNTIME_DIR": "/run/user/1"}
    assert paths_for(env) == Paths(Path("/c/douane"), Path("/s/douane"), Path("/run/user/1/douane/douane.sock"))


def test_a_relative_or_empty_folder_is_passed_over() -> None:
    assert paths_for({"HOME": "/h", "DOUANE_HOME": "d", "XDG_CONFIG_HOME": "c", "XDG_DATA_HOME": ""}) == paths_for(
        {"HOME": "/h"}
    )
    for env in ({}, {"HOME": ""}, {"HOME": "h", "DOUANE_HOME": "d"}):
        with pytest.raises(KeyError):
            paths_for(env)


def test_no_key_and_no_token_lies_in_the_data_folder() -> None:
    for env in ({"HOME": "/h"}, {"DOUANE_HOME": "/d"}):
        paths = paths_for(env)
        assert not any(path.is_relative_to(paths.data_dir) for path in (paths.token, paths.keys, paths.policy))


def test_a_socket_whose_path_would_be_too_long_lies_elsewhere_each_home_its_own() -> None:
    long = [paths_for({"DOUANE_HOME": f"/{'d' * 120}{i}"}).socket for i in range(2)]
    assert all(len(str(path)) <= 100 for path in long)
    assert long[0] != long[1]


def test_the_configuration_is_the_named_one_then_the_nearest(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "config", tmp_path / "data", tmp_path / "sock")
    here = tmp_path / "here"
    for folder in (paths.config_dir, here):
        folder.mkdir()
    assert find_config(None, {}, here, paths) is None
    own = paths.config_dir / "douane.yaml"
    own.touch()
    assert find_config(None, {}, here, paths) == own
    (here / "douane.yaml").touch()
    assert find_config(None, {}, here, paths) == here / "douane.yaml"
    assert find_config(None, {"DOUANE_CONFIG": "/e.yaml"}, here, paths) == Path("/e.yaml")
    assert find_config("/g.yaml", {"DOUANE_CONFIG": "/e.yaml"}, here, paths) == Path("/g.yaml")


def test_a_socket_lies_where_its_path_is_short_enough() -> None:
    deep = "/" + "d" * 90
    short = paths_for({"DOUANE_HOME": deep, "TMPDIR": "/var/tmp"}).socket
    assert short.parts[:3] == ("/", "var", "tmp")
    assert paths_for({"DOUANE_HOME": deep}).socket == Path("/tmp") / short.parts[3] / "douane.sock"
    assert paths_for({"DOUANE_HOME": deep, "TMPDIR": deep}).socket == Path("/tmp") / short.parts[3] / "douane.sock"
    assert paths_for({"DOUANE_HOME": "/home/me/d"}).socket == Path("/home/me/d/run/douane.sock")
