"""The entry point: what no verb can foresee is still one message and an exit code."""

import sys
from pathlib import Path

import pytest

from douane.cli.main import main


def test_an_argument_that_is_not_utf_8_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "douane.yaml"
    config.write_text("upstreams: {time: {command: [time]}}\n")
    words = ["snippet", "cursor", "--name", "\udcff", "--config", str(config)]
    monkeypatch.setattr(sys, "argv", ["douane", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "douane: an argument is not UTF-8, and so cannot be sent or written down\n"
