"""Private keys: making them, keeping them in a folder, signing with them.

An identity's folder holds ``cert.pem``, ``key.pem`` (PKCS 8, mode 0600) and ``mspid`` (one line). Signatures are
deterministic: ECDSA after RFC 6979 with low S, or Ed25519. So a signer needs no randomness at run time, and signing the
same text twice gives the same bytes.
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import NameOID

from gridledger.errors import InputError
from gridledger.files import write_atomically
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import BadIdentityFolder
from gridledger.identity.low_s import low_s
from gridledger.identity.reading import reading

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
KeyKind = Literal["p256", "ed25519"]

SAVED_WITHIN_S = 10.0
"""How long a renewal of a folder waits for another one of it."""

_LOCK_POLL_S = 0.01
_KEY_WAITS = "key.*.pem"
_RENEWALS_WHILE_LOADING = 20
_RAW_BYTES = 64
_DETERMINISTIC = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class SigningIdentity:
    """A certificate with its private key: who signs, and the means to."""

    __slots__ = ("_ed25519", "_p256", "certificate", "directory", "mspid", "private_key")

    def __init__(
        self, certificate: Certificate, private_key: PrivateKey, mspid: str, *, directory: Path | None = None
    ) -> None:
        """Raises :class:`BadIdentityFolder` when the key is not the certificate's."""
        if private_key.public_key() != certificate.public_key:
            raise BadIdentityFolder(
                f"the private key does not belong to the certificate of {certificate.common_name!r}"
            )
        self.certificate = certificate
        self.private_key = private_key
        self.mspid = mspid
        self.directory = directory
        self._p256 = private_key if isinstance(private_key, ec.EllipticCurvePrivateKey) else None
        self._ed25519 = private_key if isinstance(private_key, ed25519.Ed25519PrivateKey) else None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate's DER, in hex."""
        return self.certificate.fingerprint

    @property
    def name(self) -> str:
        """The certificate's common name: the id under which the CA registered it."""
        return self.certificate.common_name

    def sign(self, data: bytes) -> bytes:
        """The one signature of ``data`` under this key: low-S ECDSA (DER), or 64 bytes of Ed25519."""
        if self._p256 is not None:
            return sign_p256(self._p256, data)
        assert self._ed25519 is not None  # noqa: S101  (one of the two is set in __init__)
        return self._ed25519.sign(data)

    def save(self, directory: str | Path) -> None:
        """Write the folder, or renew what is in it. The key is readable by its owner only.

        At every moment, and whenever this is cut short, :meth:`load` finds the old identity or the new one: the
        certificate decides, which is replaced in one step, and until then the new key waits beside the old one. Of
        programs that renew one folder at the same time the second waits, up to ``SAVED_WITHIN_S``.
        """
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        with _renewing(folder):
            write_atomically(_waiting_key(folder, self.certificate), private_key_pem(self.private_key), mode=0o600)
            write_atomically(folder / "mspid", f"{self.mspid}\n".encode())
            write_atomically(folder / "cert.pem", self.certificate.pem.encode())
            _take_waiting_key(folder, self.certificate)
            # By renewals that were cut short before their certificate was in place.
            for left in folder.glob(_KEY_WAITS):
                left.unlink(missing_ok=True)
        self.directory = folder

    @classmethod
    def load(cls, directory: str | Path) -> SigningIdentity:
        """Read a folder, which may be renewed meanwhile; :class:`BadIdentityFolder` names the file that is missing or
        wrong."""
        folder = Path(directory)
        certificate, key = _load_pair(folder)
        try:
            mspid = _read(folder / "mspid").decode("ascii").strip()
        except UnicodeDecodeError:
            raise BadIdentityFolder(f"{folder / 'mspid'} is not one line of ASCII text") from None
        if not mspid or len(mspid.split()) != 1:
            raise BadIdentityFolder(f"{folder / 'mspid'} must hold one MSP id, such as Org1MSP")
        return cls(certificate, key, mspid, directory=folder)

    def __repr__(self) -> str:
        return f"<SigningIdentity {self.name!r} of {self.mspid}>"


def sign_p256(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Deterministic ECDSA over SHA-256 of ``data``, as DER, with the lower of the two possible s."""
    return low_s(key.sign(data, _DETERMINISTIC))


def normalised(signature: bytes, certificate: Certificate) -> bytes:
    """A signature that another program has made, in our form: DER with the lower of the two possible s for P-256.

    Takes DER, and r and s as 32 bytes each, as HSMs give them. What is neither comes back as it is, as does Ed25519.
    """
    if not isinstance(certificate.public_key, ec.EllipticCurvePublicKey):
        return signature
    try:
        decode_dss_signature(signature)
    except ValueError:
        if len(signature) != _RAW_BYTES:
            return signature
        r, s = int.from_bytes(signature[: _RAW_BYTES // 2]), int.from_bytes(signature[_RAW_BYTES // 2 :])
        signature = encode_dss_signature(r, s)
    return low_s(signature)


def generate_key(kind: KeyKind = "p256") -> PrivateKey:
    """A fresh private key."""
    if kind == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    raise InputError(f"a key is of kind 'p256' or 'ed25519', not {kind!r}")


def private_key_pem(key: PrivateKey) -> bytes:
    """PKCS 8, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_private_key(pem: bytes, origin: str) -> PrivateKey:
    """Read a P-256 or Ed25519 key; ``origin`` names it in the error (:class:`BadIdentityFolder`)."""
    with reading(BadIdentityFolder, f"{origin} is not an unencrypted PEM private key"):
        key = serialization.load_pem_private_key(pem, password=None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise BadIdentityFolder(f"{origin} is neither a P-256 nor an Ed25519 key")


def make_csr(
    key: PrivateKey, common_name: str, *, organisational_units: Sequence[str] = (), hosts: Sequence[str] = ()
) -> str:
    """A PKCS 10 request (PEM) that proves possession of ``key``; ``hosts`` are DNS names and IP addresses."""
    name = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in sorted(organisational_units)]
    name.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(name))
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([general_name(host) for host in hosts]), False)
    return builder.sign(key, signature_hash(key)).public_bytes(serialization.Encoding.PEM).decode("ascii")


def signature_hash(key: PrivateKey) -> hashes.SHA256 | None:
    """What cryptography's X.509 builders want to be told: SHA-256 for ECDSA, nothing for Ed25519."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def general_name(host: str) -> x509.GeneralName:
    """An IP address or a DNS name as a subject alternative name; :class:`InputError` when it is neither."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise InputError(f"{host!r} is neither an IP address nor an ASCII DNS name: {error}") from None


@contextmanager
def _renewing(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, where the system has such locks; it ends with the process that holds it."""
    try:
        import fcntl  # noqa: PLC0415 - Windows has no such module
    except ModuleNotFoundError:
        yield
        return
    descriptor, deadline = os.open(folder, os.O_RDONLY | os.O_CLOEXEC), time.monotonic() + SAVED_WITHIN_S
    try:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > deadline:
                raise BadIdentityFolder(f"{folder} is being renewed by another program, for {SAVED_WITHIN_S:g} s now")
            time.sleep(_LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _load_pair(folder: Path) -> tuple[Certificate, PrivateKey]:
    """The certificate and its key. Where they do not fit together, the folder was renewed between the two reads, or it
    is wrong: after ``_RENEWALS_WHILE_LOADING`` tries the pair as it is."""
    for _ in range(_RENEWALS_WHILE_LOADING):
        certificate = Certificate.from_pem(_read(folder / "cert.pem"))
        _take_waiting_key(folder, certificate)
        key = load_private_key(_read(folder / "key.pem"), str(folder / "key.pem"))
        if key.public_key() == certificate.public_key:
            break
    return certificate, key


def _waiting_key(folder: Path, certificate: Certificate) -> Path:
    """Where a certificate's key waits until the certificate is in place: nobody can take it for another's."""
    return folder / _KEY_WAITS.replace("*", certificate.fingerprint)


def _take_waiting_key(folder: Path, certificate: Certificate) -> None:
    """Put the key in place of a certificate that is in place already."""
    # Mostly none waits, or another process has just done so.
    with suppress(FileNotFoundError):
        _waiting_key(folder, certificate).replace(folder / "key.pem")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadIdentityFolder(f"cannot read {path}: {error.strerror}; restore it, or enroll another name") from None
