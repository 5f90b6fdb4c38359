"""The official conformance suite against our server, our client, and both with the gateway between. See `run.py`."""
