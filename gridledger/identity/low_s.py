"""The low-S form of ECDSA signatures, and of the certificates under which they stand.

Of (r, s) and (r, order - s), which verify alike, only the one with the lower s is a signature for us: a signed text
then has one signature per nonce, and nobody can change the bytes of somebody else's transaction. An issuer's signature
under a certificate is brought into this form where the certificate is read, for another CA's may be of either.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_HALF_ORDER = P256_ORDER // 2
"""The greatest s of a low-S signature."""

_SEQUENCE, _BIT_STRING = 0x30, 0x03
_ECDSA_WITH_SHA2 = tuple(bytes.fromhex(f"06082a8648ce3d0403{last:02x}") for last in (2, 3, 4))


def low_s(signature: bytes) -> bytes:
    """A DER signature of P-256 with the lower of the two possible s; ValueError where it is none."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, P256_ORDER - s) if P256_HALF_ORDER < s < P256_ORDER else signature


def low_s_form(certificate: bytes) -> bytes:
    """A certificate's DER with its issuer's signature in low-S form, if that is of ECDSA. Anything else is given back
    as it is, what is no certificate included: whoever parses it says so."""
    try:
        signed, algorithm, signature = _parts(certificate)
        if not algorithm[2:].startswith(_ECDSA_WITH_SHA2) or signature[:1] != b"\0":
            return certificate
        lower = low_s(signature[1:])
    except (ValueError, IndexError):
        return certificate
    if lower == signature[1:]:
        return certificate
    return _element(_SEQUENCE, signed + algorithm + _element(_BIT_STRING, b"\0" + lower))


def unused_bits(certificate: bytes) -> int:
    """How many bits of the last byte of the issuer's signature do not count. ValueError or IndexError where the bytes
    are no certificate."""
    return _parts(certificate)[2][0]


def _parts(certificate: bytes) -> tuple[bytes, bytes, bytes]:
    """What is signed and the algorithm, as elements, and the content of the signature's bit string."""
    begin, end = _content(certificate, 0, _SEQUENCE)
    if end != len(certificate):
        raise ValueError("something follows the certificate")
    signed_end = _content(certificate, begin, _SEQUENCE)[1]
    algorithm_end = _content(certificate, signed_end, _SEQUENCE)[1]
    signature, signature_end = _content(certificate, algorithm_end, _BIT_STRING)
    if signature_end != end:
        raise ValueError("something follows the signature")
    return certificate[begin:signed_end], certificate[signed_end:algorithm_end], certificate[signature:end]


def _content(data: bytes, offset: int, tag: int) -> tuple[int, int]:
    """Where the content of the DER element at ``offset`` begins and ends."""
    if data[offset] != tag:
        raise ValueError("another element was expected")
    length, begin = data[offset + 1], offset + 2
    if length >= 0x80:  # noqa: PLR2004 - the long form
        size = length & 0x7F
        length, begin = int.from_bytes(data[begin : begin + size], "big"), begin + size
    if begin + length > len(data):
        raise ValueError("an element is cut short")
    return begin, begin + length


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:  # noqa: PLR2004 - the short form
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + content
