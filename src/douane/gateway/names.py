"""The names under which the gateway shows what its upstreams offer.

`<prefix><own name>`, at most 64 characters of `[A-Za-z0-9_.-]`: longer names, and names with other characters, end in
eight digits of their own SHA-256, so two names never meet by being shortened. The way back is the catalog's map.
Spec: specification/2026-07-28/server/tools.mdx (tool names); clients and the conformance suite accept 64.
"""

import hashlib
import re

__all__ = ["MAX_NAME", "exposed"]

MAX_NAME = 64
_OTHER = re.compile(r"[^A-Za-z0-9_.\-]")


def exposed(prefix: str, own: str) -> str:
    name = _OTHER.sub("_", prefix + own)
    if name == prefix + own and len(name) <= MAX_NAME:
        return name
    mark = hashlib.sha256((prefix + own).encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME - 9]}_{mark}"
