"""Frames over the world: bytes in, bytes out, and what becomes of processes and sockets. No meaning."""
