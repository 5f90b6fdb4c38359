"""What was done, written down before it is done, so that nobody can later say it was not.

A log of two leaves per call in an RFC 6962 tree with C2SP signed checkpoints. `log` writes, `read` reads,
`verify` proves. Leaves hold no personal data in clear: people are pseudonyms, payloads are commitments, and
what opens either can be erased without touching the tree.

Not here: who may call what, and what to do when the log refuses. It refuses; the caller of `write` refuses
the call.
"""
