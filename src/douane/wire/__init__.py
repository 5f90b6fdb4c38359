"""Bytes and JSON-RPC 2.0. Pure: no clock, no I/O, and nothing of what MCP means."""
