"""What a contract may check of proofs and signatures: the same answer on every peer, within bounds.

These functions check only: a contract has no secrets and draws nothing, so there is nothing here that signs, encrypts
or makes keys. A key, a certificate or a number that can be none is refused (:class:`ContractError`); a proof or a
signature that does not hold is False.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from gridledger.contract.errors import ContractError
from gridledger.evidence import schnorr
from gridledger.evidence.errors import EvidenceError
from gridledger.identity.certificate import MAX_CERTIFICATE_BYTES, Certificate
from gridledger.identity.errors import MalformedCertificate
from gridledger.identity.low_s import P256_HALF_ORDER, P256_ORDER
from gridledger.protocol import merkle

HASH_BYTES: Final = 32
MAX_LEAVES: Final = 2**63
"""Leaves of a tree lie below this; a path then has at most 63 hashes."""
MAX_MESSAGE_BYTES: Final = 1024 * 1024
MAX_USER_CHARACTERS: Final = 1024
MAX_SIGNATURE_BYTES: Final = 72
"""SEQUENCE of two INTEGERs of 33 bytes each: no DER signature of P-256 is longer."""

_Form = TypeVar("_Form", str, bytes)

_MAX_PATH: Final = 63
_MAX_CONSISTENCY: Final = 64
_ECDSA_SHA256: Final = ec.ECDSA(hashes.SHA256())
_POINT_BYTES: Final = 65
#: SubjectPublicKeyInfo of P-256 in front of the point (RFC 5480): id-ecPublicKey, secp256r1, a bit string of 66 bytes.
_P256_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_KEY_BEGIN: Final = "-----BEGIN PUBLIC KEY-----"
_CERTIFICATE_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_NO_KEY: Final = "the key is no PEM text of a P-256 public key or of a certificate"


def verify_path(leaf: bytes, index: int, count: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``path`` leads from ``leaf``, the data of leaf ``index`` of ``count``, to ``root`` (RFC 9162, 2.1.3.2).

    ``path``: the siblings from the leaf up, 32 bytes each, at most 63. The tree is RFC 6962's with SHA-256.
    """
    if not 0 < count <= MAX_LEAVES:
        raise ContractError(f"a tree has 1 to {MAX_LEAVES} leaves, not {count}")
    if not 0 <= index < count:
        raise ContractError(f"the leaves of this tree are 0 to {count - 1}; there is none {index}")
    if len(leaf) > MAX_MESSAGE_BYTES:
        raise ContractError(f"a leaf has at most {MAX_MESSAGE_BYTES} bytes, not {len(leaf)}")
    if len(path) > _MAX_PATH or len(root) != HASH_BYTES or any(len(sibling) != HASH_BYTES for sibling in path):
        return False
    reached = merkle.root_from_path(leaf, index, count, path)
    return reached is not None and hmac.compare_digest(reached, root)


def verify_consistency(first: int, first_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of ``size`` leaves with this root begins with that of ``first`` leaves (RFC 9162, 2.1.4.2).

    ``proof``: 32 bytes each, at most 64. A tree is consistent with itself and with that of no leaves, by no hashes.
    """
    if not 0 <= first <= size <= MAX_LEAVES:
        raise ContractError(f"a tree of 0 to {MAX_LEAVES} leaves begins with no more than it has: {first} of {size}")
    if len(proof) > _MAX_CONSISTENCY or any(len(item) != HASH_BYTES for item in (first_root, root, *proof)):
        return False
    return merkle.consistency_holds(first, first_root, size, root, proof)


def verify_schnorr(key: str, user: str, other: str, proof: str) -> bool:
    """Whether ``proof`` shows that ``user`` knows the secret of ``key``, bound to the text ``other`` (RFC 8235, P-256).

    ``key``: 130 hex digits, SEC 1 uncompressed; ``proof``: V and r, 194 hex digits. A key that is none is refused, a
    proof that is none does not hold. How it is computed: :mod:`gridledger.evidence.schnorr`.
    """
    if len(user) > MAX_USER_CHARACTERS or len(other) > MAX_MESSAGE_BYTES or len(other.encode()) > MAX_MESSAGE_BYTES:
        raise ContractError(
            f"a proof is of a user of at most {MAX_USER_CHARACTERS} characters and a text of at most "
            f"{MAX_MESSAGE_BYTES} bytes"
        )
    check_proof_key(key)
    try:
        found = schnorr.Proof.of(proof)
    except EvidenceError:
        return False
    return schnorr.verify(bytes.fromhex(key), user, other, found)


def check_proof_key(key: str) -> None:
    """Refuse what is no key for :func:`verify_schnorr`: no 130 small hex digits, or no point of P-256."""
    try:
        schnorr.check_public(schnorr.bytes_of(key, "proof_key", _POINT_BYTES))
    except EvidenceError as error:
        raise ContractError(error.message) from None


def verify_ecdsa(key: str, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` of ``message`` was made with ``key``: ECDSA with P-256 and SHA-256, DER, low s.

    ``key``: PEM of a public key or of a certificate (whose validity is not looked at); a key that is none is refused.
    Of the two signatures (r, s) and (r, order - s) only that with the lower s counts, so nobody can change one.
    """
    if len(message) > MAX_MESSAGE_BYTES:
        raise ContractError(f"a signed message has at most {MAX_MESSAGE_BYTES} bytes, not {len(message)}")
    public = _public_key(key)
    if len(signature) > MAX_SIGNATURE_BYTES:
        return False
    try:
        r, s = decode_dss_signature(signature)
        # Written again, as not every version of the reader refuses every other form of the same two numbers.
        if not (0 < r < P256_ORDER and 0 < s <= P256_HALF_ORDER) or encode_dss_signature(r, s) != signature:
            return False
        public.verify(signature, message, _ECDSA_SHA256)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key_of(certificate: str) -> str:
    """PEM of the P-256 public key in a certificate: PEM, or DER in base64 as ``ClientIdentity.certificate`` has it."""
    if not certificate.startswith(_CERTIFICATE_BEGIN):
        return _pem(_key_of(_certificate(Certificate.from_der, _decoded(certificate, "the certificate is no base64"))))
    return _pem(_public_key(certificate))


def _public_key(pem: str) -> ec.EllipticCurvePublicKey:
    """Read here, not by a PEM reader: what such readers overlook differs from one version to the next."""
    if len(pem) > 2 * MAX_CERTIFICATE_BYTES:
        raise ContractError(_NO_KEY)
    if pem.startswith(_CERTIFICATE_BEGIN):
        return _key_of(_certificate(Certificate.from_pem, pem))
    lines = pem.removesuffix("\n").split("\n")
    if lines[0] != _KEY_BEGIN or lines[-1] != "-----END PUBLIC KEY-----":
        raise ContractError(_NO_KEY)
    der = _decoded("".join(lines[1:-1]), _NO_KEY)
    if len(der) != len(_P256_PREFIX) + _POINT_BYTES or not der.startswith(_P256_PREFIX):
        raise ContractError(_NO_KEY)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), der[len(_P256_PREFIX) :])
    except ValueError:
        raise ContractError("the key is no point of the curve P-256") from None


def _certificate(read: Callable[[_Form], Certificate], form: _Form) -> Certificate:
    try:
        return read(form)
    except MalformedCertificate:  # its reason is the X.509 library's, whose words differ from version to version
        raise ContractError("the certificate cannot be read") from None


def _key_of(certificate: Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ContractError("the certificate's key is not of P-256; enrol with one that is")
    return key


def _decoded(text: str, otherwise: str) -> bytes:
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ContractError(otherwise) from None
    if base64.b64encode(data).decode("ascii") != text:  # bits behind the last byte, which readers overlook
        raise ContractError(otherwise)
    return data


def _pem(key: ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode("ascii")
