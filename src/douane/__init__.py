"""Douane: customs for the Model Context Protocol. See `docs/design.md` for the house."""

__version__ = "0.1.0.dev0"
