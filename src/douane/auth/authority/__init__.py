"""An authorization server for a laptop or a small team: people log in, agree, and a client gets tokens for this gateway.

Pages over `Records`: HTTP requests and answers are values, so nothing here opens a socket but through the `Fetch` it is given.
Spec: OAuth 2.1 (draft-ietf-oauth-v2-1); RFC 8414, 7009, 7591, 7636, 7662, 8252, 8628, 8707, 9068, 9207.
"""
