"""`python -m douane`."""

from .cli import main

main()
