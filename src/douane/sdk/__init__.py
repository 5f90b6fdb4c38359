"""Servers and clients of MCP for Python programs. So far: sessions with a server, on which the gateway stands."""
