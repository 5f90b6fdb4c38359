"""POLICY: a yes or no from Cedar for every call. No rule that permits, no call; a rule that fails, no call.

The rule and the digest of the policies go into the trail, and from there into the audit. A refusal names the command
with which the operator would allow the call.
"""

from .files import PolicyFiles, default_policy
from .gate import ACTIONS, make
from .permits import append_permit, permit_text
from .revocations import Revocable, reinstate, revocations, revoke
from .rules import PolicyError, Rules

__all__ = [
    "ACTIONS",
    "PolicyError",
    "PolicyFiles",
    "Revocable",
    "Rules",
    "append_permit",
    "default_policy",
    "make",
    "permit_text",
    "reinstate",
    "revocations",
    "revoke",
]
