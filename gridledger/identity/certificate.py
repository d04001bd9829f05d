"""One X.509 certificate, parsed once.

Certificates come with every proposal and every connection, and there are few of them: :meth:`Certificate.from_pem` and
:meth:`Certificate.from_der` keep what they parsed in a bounded cache. Keys are P-256 (ECDSA over SHA-256) or Ed25519.
Attributes are where Hyperledger Fabric has them: extension 1.2.3.4.5.6.7.8.1 holds the JSON text
``{"attrs": {name: value}}``.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtensionOID, NameOID

from gridledger import jsontext
from gridledger.errors import MalformedJSON
from gridledger.identity.errors import MalformedCertificate
from gridledger.identity.low_s import P256_HALF_ORDER, low_s_form, unused_bits
from gridledger.identity.reading import reading

ATTRIBUTES_OID = x509.ObjectIdentifier("1.2.3.4.5.6.7.8.1")
"""Fabric's extension for attributes; its value is the JSON text itself."""

MAX_CERTIFICATE_BYTES = 16 * 1024
CACHED_CERTIFICATES = 4096

_ECDSA_SHA256 = ec.ECDSA(hashes.SHA256())
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ATTRIBUTES_OID,
    }
)
"""Extensions that may be critical; RFC 5280 4.2 has a certificate with any other critical one refused."""

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Certificate:
    """A parsed certificate; two are equal when their DER is. Times are microseconds since 1970, both ends included.

    ``der`` has the issuer's signature in low-S form, whichever form was read: (r, s) and (r, order - s) verify alike,
    and a certificate is one and not two. ``fingerprint`` is SHA-256 of it in hex. ``subject`` and ``issuer`` are the
    names as RFC 4514 writes them. ``is_authority`` says that it may issue others (basicConstraints and keyCertSign);
    ``may_sign`` that its key usage allows digital signatures. ``attributes`` cannot be changed. All of it was read when
    it was made: nothing here raises later.
    """

    der: bytes
    fingerprint: str
    common_name: str
    subject: str
    issuer: str
    organisational_units: frozenset[str]
    issuer_der: bytes
    subject_der: bytes
    serial: int
    not_before_us: int
    not_after_us: int
    attributes: Mapping[str, str]
    is_authority: bool
    may_sign: bool
    x509: x509.Certificate
    public_key: PublicKey
    pem: str = field(default="")

    @staticmethod
    def from_pem(text: bytes | str) -> Certificate:
        """Parse one PEM certificate and nothing besides; :class:`MalformedCertificate` otherwise. Cached."""
        if isinstance(text, bytes):
            try:
                text = text.decode("ascii")
            except UnicodeDecodeError:
                raise MalformedCertificate("a PEM certificate is ASCII text") from None
        return _from_pem(text)

    @staticmethod
    def from_der(der: bytes) -> Certificate:
        """Parse one DER certificate; :class:`MalformedCertificate` otherwise. Cached."""
        return _from_der(der)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` over ``data`` was made with this certificate's key: low-S DER for P-256, or Ed25519."""
        key = self.public_key
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, data)
                return True
            if decode_dss_signature(signature)[1] > P256_HALF_ORDER:
                return False
            key.verify(signature, data, _ECDSA_SHA256)
        except (InvalidSignature, ValueError):
            return False
        return True

    def is_issued_by(self, root: Certificate) -> bool:
        """Whether ``root`` has signed this certificate, with a hash that counts, and has the issuer's name."""
        try:
            with reading(MalformedCertificate, "the issuer's signature cannot be checked"):
                algorithm = self.x509.signature_hash_algorithm
                if algorithm is not None and not isinstance(algorithm, _HASHES):
                    return False
                self.x509.verify_directly_issued_by(root.x509)
        except MalformedCertificate:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"<Certificate {self.common_name!r} {self.fingerprint[:16]}>"


@lru_cache(maxsize=CACHED_CERTIFICATES)
def _from_pem(text: str) -> Certificate:
    if len(text) > 2 * MAX_CERTIFICATE_BYTES:
        raise MalformedCertificate(f"a certificate has at most {MAX_CERTIFICATE_BYTES} bytes")
    body = text.strip()
    if not body.startswith(_BEGIN) or not body.endswith(_END) or body.count("-----") != 4:  # noqa: PLR2004
        raise MalformedCertificate(
            f"one PEM certificate was expected, from {_BEGIN!r} to {_END!r}, and nothing besides"
        )
    with reading(MalformedCertificate, "the PEM certificate is not base64"):
        der = base64.b64decode("".join(body[len(_BEGIN) : -len(_END)].split()), validate=True)
    return _from_der(der)


@lru_cache(maxsize=CACHED_CERTIFICATES)
def _from_der(der: bytes) -> Certificate:
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise MalformedCertificate(f"a certificate has at most {MAX_CERTIFICATE_BYTES} bytes")
    with reading(MalformedCertificate, "not a certificate that can be read"):
        return _parse(low_s_form(der))


@lru_cache(maxsize=CACHED_CERTIFICATES)  # one object for a certificate, in whichever form it came
def _parse(der: bytes) -> Certificate:
    certificate = x509.load_der_x509_certificate(der)
    if certificate.serial_number < 1:
        raise MalformedCertificate("its serial number is not positive, as RFC 5280 wants it")
    if unused_bits(der):
        # The issuer's signature is whole bytes; it would verify with any number here, under as many fingerprints.
        raise MalformedCertificate("its signature is not whole bytes")
    extensions = certificate.extensions
    for extension in extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise MalformedCertificate(f"its critical extension {extension.oid.dotted_string} is not understood")
    constraints = _extension(extensions, x509.BasicConstraints)
    usage = _extension(extensions, x509.KeyUsage)
    return Certificate(
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
        common_name=_common_name(certificate.subject),
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        organisational_units=frozenset(
            str(unit.value) for unit in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        ),
        issuer_der=certificate.issuer.public_bytes(),
        subject_der=certificate.subject.public_bytes(),
        serial=certificate.serial_number,
        not_before_us=_microseconds(certificate.not_valid_before_utc),
        not_after_us=_microseconds(certificate.not_valid_after_utc),
        attributes=MappingProxyType(_attributes(extensions)),
        is_authority=constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign),
        may_sign=usage is None or usage.digital_signature,
        x509=certificate,
        public_key=_public_key(certificate),
        pem=pem_of(der),
    )


def pem_of(der: bytes) -> str:
    """The one PEM text of a DER certificate (64 columns, a newline at the end)."""
    lines = base64.b64encode(der).decode("ascii")
    body = "\n".join(lines[start : start + 64] for start in range(0, len(lines), 64))
    return f"{_BEGIN}\n{body}\n{_END}\n"


def encode_attributes(attributes: Mapping[str, str]) -> bytes:
    """The value of the attributes extension, names in sorted order."""
    return jsontext.dumps({"attrs": {name: attributes[name] for name in sorted(attributes)}})


def _extension(extensions: x509.Extensions, kind: type[_Extension]) -> _Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(found) > 1:
        raise MalformedCertificate("its subject has more than one common name")
    return str(found[0].value) if found else ""


def _microseconds(moment: datetime) -> int:
    return calendar.timegm(moment.utctimetuple()) * 1_000_000


def _public_key(certificate: x509.Certificate) -> PublicKey:
    key = certificate.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise MalformedCertificate("its key is neither P-256 nor Ed25519; make a new one of these kinds")


def _attributes(extensions: x509.Extensions) -> dict[str, str]:
    try:
        value = extensions.get_extension_for_oid(ATTRIBUTES_OID).value
    except x509.ExtensionNotFound:
        return {}
    if not isinstance(value, x509.UnrecognizedExtension):
        raise MalformedCertificate("its attributes extension cannot be read")
    try:
        document = jsontext.loads(value.value)
    except MalformedJSON as error:
        raise MalformedCertificate(f"its attributes are {error.message}") from None
    attributes = document.get("attrs") if isinstance(document, dict) else None
    if not isinstance(attributes, dict) or not all(isinstance(item, str) for item in attributes.values()):
        raise MalformedCertificate('its attributes are not {"attrs": {name: text}}')
    return attributes
