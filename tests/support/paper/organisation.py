"""An organisation with a CA of its own, made with the cryptography library."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gridledger.identity.certificate import ATTRIBUTES_OID, Certificate, encode_attributes
from gridledger.identity.local_msp import ROOTS
from gridledger.identity.signer import SigningIdentity
from tests.support.paper.messages import with_high_s

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2050, 1, 1, tzinfo=UTC)
"""When certificates and revocation lists are good: by a test's clock as by the machine's."""

ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


class PaperOrganisation:
    """An organisation: its root certificate (PEM), and the identities and revocation lists that its CA signs."""

    def __init__(self, mspid: str, seed: str | None = None, *, root_not_after: datetime = END) -> None:
        """With a ``seed`` keys, serial numbers and signatures are the same each time."""
        self.mspid = mspid
        self._seed = seed
        self._deterministic = None if seed is None else True
        self._key = self._new_key("root")
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{mspid} root")])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = self._builder(self._name, self._key.public_key(), BEGIN, root_not_after)
        builder = builder.add_extension(x509.BasicConstraints(True, 0), True).add_extension(usage, True)
        self.root = self._signed(builder).public_bytes(Encoding.PEM).decode()

    def issue(
        self,
        name: str,
        role: str,
        *,
        attributes: Mapping[str, str] | None = None,
        not_before: datetime = BEGIN,
        not_after: datetime = END,
    ) -> SigningIdentity:
        """A new identity, good for TLS at localhost."""
        key = self._new_key(f"{role} {name}")
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            self._builder(subject, key.public_key(), not_before, not_after)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.SubjectAlternativeName(hosts), False)
            .add_extension(x509.ExtendedKeyUsage(usages), False)
        )
        if attributes:
            extension = x509.UnrecognizedExtension(ATTRIBUTES_OID, encode_attributes(attributes))
            builder = builder.add_extension(extension, False)
        certificate = self._signed(builder)
        return SigningIdentity(Certificate.from_der(certificate.public_bytes(Encoding.DER)), key, self.mspid)

    def furnish(self, node: SigningIdentity, folder: Path) -> None:
        """A node's identity folder: its certificate and key, and its local MSP."""
        node.save(folder)
        (folder / ROOTS).write_text(self.root, encoding="ascii")

    def crl(self, *revoked: SigningIdentity, number: int | None = None, at: datetime = BEGIN) -> str:
        """A revocation list of these (PEM)."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(at).next_update(END)
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), False)
        for item in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(item.certificate.serial).revocation_date(BEGIN)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def seal(self, to_be_signed: bytes) -> bytes:
        """The DER of a certificate, or revocation list, of any content whatever, under the CA's true signature."""
        signature = b"\0" + self._key.sign(to_be_signed, ec.ECDSA(hashes.SHA256()))
        return der(0x30, to_be_signed + ECDSA_WITH_SHA256 + der(0x03, signature))

    @staticmethod
    def flipped(certificate: Certificate) -> bytes:
        """The DER of a certificate with the other one of the two signatures of its issuer that verify alike."""
        signature = certificate.x509.signature
        signed = certificate.x509.tbs_certificate_bytes
        return der(0x30, signed + ECDSA_WITH_SHA256 + der(0x03, b"\0" + with_high_s(signature)))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, not_before: datetime, not_after: datetime
    ) -> x509.CertificateBuilder:
        serial = (
            x509.random_serial_number() if self._seed is None else self._number(f"serial {subject.rfc4514_string()}")
        )
        return x509.CertificateBuilder(self._name, subject, key, serial, not_before, not_after)

    def _signed(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self._key, hashes.SHA256(), ecdsa_deterministic=self._deterministic)

    def _new_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        if self._seed is None:
            return ec.generate_private_key(ec.SECP256R1())
        return ec.derive_private_key(self._number(f"key {name}"), ec.SECP256R1())

    def _number(self, name: str) -> int:
        """A number that follows from the seed, 128 bits."""
        return int.from_bytes(hashlib.sha256(f"{self._seed} {self.mspid} {name}".encode()).digest()[:16])


def der(tag: int, content: bytes) -> bytes:
    """One element of DER."""
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content
