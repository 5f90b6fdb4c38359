"""The gateway: one endpoint in front of many upstreams, and every call through the chain."""
