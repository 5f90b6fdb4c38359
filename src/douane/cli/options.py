"""Options that several verbs share."""

from typing import Annotated

import typer

__all__ = ["AsJson", "ConfigOption", "ServerOption"]

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        help="The configuration; else $DOUANE_CONFIG, ./douane.yaml, the user's own.",
        show_default=False,
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option("--server", "-s", help="A virtual server of the configuration; else the whole.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for programs.")]
