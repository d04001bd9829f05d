"""The stamp of a time stamp authority (RFC 3161) over a package: these bytes were there at that time.

A stamp is the authority's answer as it came, TimeStampResp in DER, in a file beside the package; ``openssl ts -verify``
reads it too. It is over the SHA-256 of the package's bytes. Parsing and the check of its signature are those of
rfc3161-client, from the extra ``forensics``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gridledger.errors import InputError
from gridledger.extras import MissingExtra

if TYPE_CHECKING:
    from rfc3161_client import Accuracy, TimeStampResponse

MAX_STAMP_BYTES: Final = 64 * 1024
MAX_ROOTS_BYTES: Final = 1024 * 1024
SHA256_OID: Final = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
GRANTED: Final = 0
_SIGNED_DATA_VERSION: Final = 3
_SIGNER_INFO_VERSION: Final = 1
_CERTIFICATES: Final = 0xA0
"""The tag of the certificates in SignedData."""
_LONG: Final = 0x80
"""In the first byte of a length: the length has bytes of its own, so many."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REASON: Final = re.compile(r'(?:data: "Verify error: |reason: ")([^"]*)')
"""Why OpenSSL refuses, in the text of the library's error; the last one is the most precise."""


class BadStamp(InputError):
    """A file is no stamp, or not one over this package by an authority of these roots."""

    code = "BAD_STAMP"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a stamp says. ``authority``: the subject of the certificate that signed it; ``accuracy_us``: by how much its
    time may be wrong, None where the authority does not say; ``imprint``: the SHA-256 that it is over; ``serial`` and
    ``policy`` (an object identifier): of the stamp. ``is_verified``: its signature leads to a root that is trusted."""

    time_us: int
    accuracy_us: int | None
    authority: str
    certificate_sha256: str
    serial: int
    policy: str
    imprint: bytes
    nonce: int | None
    is_verified: bool = False

    @property
    def time(self) -> str:
        """The time in words, ISO 8601 in UTC."""
        return (_EPOCH + timedelta(microseconds=self.time_us)).isoformat().replace("+00:00", "Z")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "time_us": self.time_us,
            "accuracy_us": self.accuracy_us,
            "authority": self.authority,
            "certificate_sha256": self.certificate_sha256,
            "serial": f"{self.serial:x}",
            "policy": self.policy,
            "verified": self.is_verified,
        }


def check_stamp(
    data: bytes, digest: bytes, *, roots: Sequence[x509.Certificate] = (), nonce: int | None = None
) -> Stamp:
    """The stamp in ``data``, which must be over ``digest`` (a SHA-256) and, where one is given, carry ``nonce``.

    Its certificate must be one for time stamps, and valid at its time. With ``roots`` its signature must lead to one of
    them; intermediate certificates may stand among them. Without them that is not checked: ``is_verified`` is false.
    Whether the authority has revoked its certificate is never checked. Raises :class:`BadStamp`, and
    :class:`~gridledger.extras.MissingExtra` where rfc3161-client is not installed.
    """
    response = _parsed(data)
    try:
        stamp = _read(response)
    except BadStamp:
        raise
    except Exception as error:  # names and dates are parsed as they are asked for, with errors of many classes
        raise BadStamp(f"it is no stamp that can be read: {_told(error)}") from None
    if stamp.imprint != digest:
        raise BadStamp(f"it is over other bytes, of the SHA-256 {stamp.imprint.hex()}, not {digest.hex()}")
    if nonce is not None and stamp.nonce != nonce:
        raise BadStamp("it does not carry the nonce of the request: it is the answer to another one")
    return _verified(response, stamp, digest, roots) if roots else stamp


def read_tsa_roots(pem: bytes, name: str) -> list[x509.Certificate]:
    """The certificates in a file of PEM texts; :class:`InputError` under ``name``."""
    if len(pem) > MAX_ROOTS_BYTES:
        raise InputError(f"{name}: it has more than {MAX_ROOTS_BYTES} bytes")
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise InputError(f"{name}: it has no certificates in PEM") from None


class _Element(NamedTuple):
    """A value in DER: where it begins, where its content does, and where both end."""

    begin: int
    content: int
    end: int


def with_sorted_certificates(data: bytes) -> bytes:
    """An answer with its certificates in the order of DER, which is all that rfc3161-client reads.

    Authorities that run openssl, and others, write the signer's first. No signature covers the order. What is no answer
    comes back as it is.
    """
    try:
        token = _children(data, _element(data, 0))[1]
        signed = _children(data, _children(data, token)[1])[0]
        place = next(each for each in _children(data, signed) if data[each.begin] == _CERTIFICATES)
        certificates = sorted(data[each.begin : each.end] for each in _children(data, place))
    except (IndexError, StopIteration):
        return data
    return data[: place.content] + b"".join(certificates) + data[place.end :]


def _children(data: bytes, parent: _Element) -> list[_Element]:
    found: list[_Element] = []
    at = parent.content
    while at < parent.end:
        found.append(_element(data, at))
        at = found[-1].end
    if at != parent.end:
        raise IndexError(at)
    return found


def _element(data: bytes, begin: int) -> _Element:
    """The value at a place; IndexError where none is whole."""
    length = data[begin + 1]
    content = begin + 2
    if length & _LONG:
        content += length & ~_LONG
        length = int.from_bytes(data[begin + 2 : content])
    if content + length > len(data):
        raise IndexError(begin)
    return _Element(begin, content, content + length)


def _parsed(data: bytes) -> TimeStampResponse:
    try:
        from rfc3161_client import decode_timestamp_response  # noqa: PLC0415 - of the extra
    except ImportError:
        raise MissingExtra("a time stamp", "rfc3161_client", "forensics") from None
    if len(data) > MAX_STAMP_BYTES:
        raise BadStamp(f"it has more than {MAX_STAMP_BYTES} bytes")
    try:
        response = decode_timestamp_response(with_sorted_certificates(data))
    except Exception as error:  # as below
        raise BadStamp(f"it is no answer of a time stamp authority (RFC 3161): {_told(error)}") from None
    if response.status != GRANTED:
        raise BadStamp(f"it holds no stamp: {refusal_of(response)}")
    return response


def refusal_of(response: TimeStampResponse) -> str:
    """Why an authority granted nothing, in words."""
    told = "; ".join(response.status_string)[:500] or "without a reason"
    return f"the authority refused with status {response.status}, {told}"


def _read(response: TimeStampResponse) -> Stamp:
    info, signed = response.tst_info, response.signed_data
    if info.message_imprint.hash_algorithm != SHA256_OID:
        raise BadStamp("it is over another hash than SHA-256")
    signers = list(signed.signer_infos)
    # The versions are not signed, and have one value in a stamp.
    if signed.version != _SIGNED_DATA_VERSION or len(signers) != 1 or signers[0].version != _SIGNER_INFO_VERSION:
        raise BadStamp("it must have one signature, in the form of RFC 3161")
    signer = (signers[0].issuer, signers[0].serial_number)
    certificates = [x509.load_der_x509_certificate(der) for der in signed.certificates]
    named = [each for each in certificates if (each.issuer, each.serial_number) == signer]
    if len(named) != 1:  # two of one name: which one signed could be told in two ways
        raise BadStamp(f"it must have the certificate that signed it, once; it has it {len(named)} times")
    _check_certificate(named[0], info.gen_time)
    return Stamp(
        time_us=(info.gen_time - _EPOCH) // timedelta(microseconds=1),
        accuracy_us=_accuracy_us(info.accuracy),
        authority=named[0].subject.rfc4514_string(),
        certificate_sha256=sha256(named[0].public_bytes(Encoding.DER)).hexdigest(),
        serial=info.serial_number,
        policy=info.policy.dotted_string,
        imprint=info.message_imprint.message,
        nonce=info.nonce,
    )


def _check_certificate(certificate: x509.Certificate, at: datetime) -> None:
    """RFC 3161, 2.3: the one purpose of an authority's certificate are time stamps, and that is critical."""
    name = certificate.subject.rfc4514_string()
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        usage = None
    if usage is None or not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise BadStamp(f"the certificate of {name} is not for time stamps alone")
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise BadStamp(
            f"the certificate of {name} was not valid at the stamp's time, {at.isoformat()}: it is from "
            f"{certificate.not_valid_before_utc.isoformat()} to {certificate.not_valid_after_utc.isoformat()}"
        )


def _accuracy_us(accuracy: Accuracy | None) -> int | None:
    if accuracy is None:
        return None
    return (accuracy.seconds or 0) * 1_000_000 + (accuracy.millis or 0) * 1000 + (accuracy.micros or 0)


def _verified(
    response: TimeStampResponse, stamp: Stamp, digest: bytes, roots: Sequence[x509.Certificate]
) -> Stamp:  # fmt: skip
    from rfc3161_client import VerificationError, VerifierBuilder  # noqa: PLC0415 - of the extra

    try:
        VerifierBuilder(roots=list(roots)).build().verify(response, digest)
    except (VerificationError, ValueError) as error:
        reasons = _REASON.findall(str(error))
        why = reasons[-1] if reasons else _told(error)
        raise BadStamp(
            f"its signature by {stamp.authority} leads to none of the roots, or does not hold: {why}"
        ) from None
    return replace(stamp, is_verified=True)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
