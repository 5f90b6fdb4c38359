"""Client certificates as a proxy tells of them: it has verified the chain, and we believe the proxy.

Spec: RFC 9440 §2.1 (`Client-Cert`), RFC 8705 §3.1 (thumbprints). nginx and Envoy send URL-encoded PEM.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

import msgspec

from .jws import b64
from .tokens import Identity

if TYPE_CHECKING:
    # Loaded where certificates come: most gateways are shown none.
    from cryptography import x509

__all__ = ["Named", "Shown", "identity_in", "shown_in"]

Named = Literal["uri", "email", "dns", "common_name"]
_MAX_BYTES = 16 * 1024
_MAX_CHARS = 256


class Shown(msgspec.Struct, frozen=True):
    thumbprint: str
    """SHA-256 of the certificate, as `cnf` of a token has it."""
    certificate: bytes
    """DER."""


def shown_in(header: bytes) -> Shown:
    """Raises ValueError for what is no certificate."""
    from cryptography import x509

    if len(header) > _MAX_BYTES:
        raise ValueError("the certificate is too long")
    der = _der(header.strip().decode("latin-1"))
    x509.load_der_x509_certificate(der)
    return Shown(b64(hashlib.sha256(der).digest()), der)


def identity_in(shown: Shown, named: Named, prefix: str, now: Callable[[], float]) -> Identity | None:
    """Whom it names; None when it names nobody, or more than one, or is not good now."""
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(shown.certificate)
    starts, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    names = _names(certificate, named) if starts <= now() < ends else []
    if len(names) != 1 or not 0 < len(names[0]) <= _MAX_CHARS or not names[0].isprintable():
        return None
    return Identity(prefix + names[0], client=f"x5t:{shown.thumbprint}")


def _der(text: str) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        if len(text) > 2 and text[0] == text[-1] == ":":
            return base64.b64decode(text[1:-1], validate=True)
        pem = x509.load_pem_x509_certificate(unquote(text).encode("latin-1"))
    except (binascii.Error, UnicodeError):
        raise ValueError("the header holds no certificate") from None
    return pem.public_bytes(Encoding.DER)


def _names(certificate: "x509.Certificate", named: Named) -> list[str]:
    from cryptography import x509
    from cryptography.x509.oid import ExtensionOID, NameOID

    if named == "common_name":
        return [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return []
    assert isinstance(found, x509.SubjectAlternativeName)
    kind = {"uri": x509.UniformResourceIdentifier, "email": x509.RFC822Name, "dns": x509.DNSName}[named]
    return list(found.get_values_for_type(kind))
