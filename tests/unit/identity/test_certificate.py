"""Certificates made by openssl, read by us; signatures of each verified by the other."""

from __future__ import annotations

import base64
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from gridledger.identity import Certificate, MalformedCertificate, SigningIdentity
from gridledger.identity.low_s import P256_HALF_ORDER, P256_ORDER
from gridledger.identity.signer import load_private_key
from tests.support.paper.organisation import ECDSA_WITH_SHA256, der

ED25519 = ("-algorithm", "ED25519")


def attributes_extension(text: str) -> str:
    return f"1.2.3.4.5.6.7.8.1=DER:{text.encode().hex()}"


def test_reads_what_openssl_wrote(ca) -> None:  # type: ignore[no-untyped-def]
    text = '{"attrs":{"group":"2","hf.Registrar":"true"}}'
    pem = ca.issue("/OU=peer/OU=north/CN=peer1.org1", "keyUsage=critical,digitalSignature", attributes_extension(text))
    certificate = Certificate.from_pem(pem)
    assert certificate.common_name == "peer1.org1"
    assert certificate.organisational_units == {"peer", "north"}
    assert certificate.attributes == {"group": "2", "hf.Registrar": "true"}
    assert certificate.may_sign
    assert not certificate.is_authority
    assert certificate.issuer_der == Certificate.from_pem(ca.root).subject_der
    (ca.folder / "kept.pem").write_text(certificate.pem)
    told = ca.run("x509", "-in", "kept.pem", "-noout", "-serial", "-fingerprint", "-sha256")
    assert re.findall(r"serial=0*([0-9A-F]+)", told) == [f"{certificate.serial:X}"]
    assert certificate.fingerprint.upper() in told.replace(":", "")
    assert certificate.not_after_us - certificate.not_before_us == 365 * 86_400_000_000


def flipped(pem: str) -> bytes:
    """The DER with the other one of the two signatures of the CA that verify alike."""
    read = x509.load_pem_x509_certificate(pem.encode())
    r, s = decode_dss_signature(read.signature)
    other = encode_dss_signature(r, P256_ORDER - s)
    return der(0x30, read.tbs_certificate_bytes + ECDSA_WITH_SHA256 + der(0x03, b"\0" + other))


def test_a_flipped_signature_makes_no_other_certificate(ca) -> None:  # type: ignore[no-untyped-def]
    fingerprints = set()
    for _ in range(4):  # of either form, as the CA made them
        pem = ca.issue()
        certificate = Certificate.from_pem(pem)
        other = Certificate.from_der(flipped(pem))
        assert other is certificate
        assert decode_dss_signature(certificate.x509.signature)[1] <= P256_HALF_ORDER
        assert certificate.is_issued_by(Certificate.from_pem(ca.root))
        (ca.folder / "kept.pem").write_text(certificate.pem)
        told = ca.run("x509", "-in", "kept.pem", "-noout", "-fingerprint", "-sha256")
        assert certificate.fingerprint.upper() in told.replace(":", "")
        assert ca.run("verify", "-CAfile", "root.pem", "kept.pem").endswith(": OK\n")
        fingerprints.add(certificate.fingerprint)
    assert len(fingerprints) == 4


def test_an_ed25519_signature_of_the_issuer_is_taken_as_is(new_ca) -> None:  # type: ignore[no-untyped-def]
    ca = new_ca("ed", ED25519)
    pem = ca.issue()
    certificate = Certificate.from_pem(pem)
    assert certificate.pem == pem
    assert certificate.is_issued_by(Certificate.from_pem(ca.root))


def test_no_other_bytes_of_a_signature_pass_for_a_certificate(ca) -> None:  # type: ignore[no-untyped-def]
    """Whatever bit behind the signed part is changed: it is refused, is not the root's, or is the same certificate."""
    certificate, root = Certificate.from_pem(ca.issue()), Certificate.from_pem(ca.root)
    begin = len(certificate.der) - len(certificate.x509.signature) - 3 - len(ECDSA_WITH_SHA256)
    for place in (*range(4), *range(begin, len(certificate.der))):
        for bit in range(8):
            changed = bytearray(certificate.der)
            changed[place] ^= 1 << bit
            try:
                read = Certificate.from_der(bytes(changed))
            except MalformedCertificate:
                continue
            assert not read.is_issued_by(root), (place, bit)


def test_a_signature_of_less_than_whole_bytes_is_refused(ca) -> None:  # type: ignore[no-untyped-def]
    """Where its last bit is 0, it could be left out, and the signature would verify as before."""
    while Certificate.from_pem(ca.issue()).der[-1] % 2:
        pass
    certificate = Certificate.from_pem((ca.folder / "leaf.pem").read_text())
    signature = certificate.x509.signature
    changed = certificate.der.replace(b"\0" + signature, b"\1" + signature)
    assert x509.load_der_x509_certificate(changed).signature == signature
    with pytest.raises(MalformedCertificate, match="whole bytes"):
        Certificate.from_der(changed)


def test_parses_once_and_compares_by_der(ca) -> None:  # type: ignore[no-untyped-def]
    pem = ca.issue()
    certificate = Certificate.from_pem(pem)
    assert Certificate.from_pem(pem.encode()) is certificate
    assert Certificate.from_der(certificate.der) is certificate
    assert Certificate.from_pem(f"\n{pem}\n\n") is certificate
    assert {certificate, Certificate.from_pem(ca.root)} == {Certificate.from_pem(ca.root), certificate}
    with pytest.raises(TypeError):
        certificate.attributes["group"] = "3"  # type: ignore[index]
    with pytest.raises(AttributeError):
        certificate.common_name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("kind", [(), ED25519], ids=["p256", "ed25519"])
def test_verifies_what_openssl_signed(ca, kind: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    certificate = Certificate.from_pem(ca.issue(key=kind))
    (ca.folder / "data").write_bytes(b"a proposal")
    command = ("pkeyutl", "-sign", "-rawin", "-in", "data", "-inkey", "leaf.key", "-out", "signature")
    ca.run(*command, *(() if kind else ("-digest", "sha256")))
    signature = (ca.folder / "signature").read_bytes()
    if not kind:
        r, s = decode_dss_signature(signature)
        low, high = sorted((s, P256_ORDER - s))
        assert not certificate.verify(encode_dss_signature(r, high), b"a proposal")
        signature = encode_dss_signature(r, low)
    assert certificate.verify(signature, b"a proposal")
    assert not certificate.verify(signature, b"another proposal")
    assert not certificate.verify(signature[:-1], b"a proposal")
    assert not certificate.verify(signature + b"\0", b"a proposal")
    assert not certificate.verify(b"", b"a proposal")


@pytest.mark.parametrize("kind", [(), ED25519], ids=["p256", "ed25519"])
def test_openssl_verifies_what_we_signed(ca, kind: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    certificate = Certificate.from_pem(ca.issue(key=kind))
    signer = SigningIdentity(certificate, load_private_key(ca.key_pem(), "leaf.key"), "Org1MSP")
    (ca.folder / "data").write_bytes(b"a result")
    (ca.folder / "signature").write_bytes(signer.sign(b"a result"))
    command = ("pkeyutl", "-verify", "-rawin", "-in", "data", "-certin", "-inkey", "leaf.pem", "-sigfile", "signature")
    assert "Verified Successfully" in ca.run(*command, *(() if kind else ("-digest", "sha256")))
    assert P256_HALF_ORDER * 2 + 1 == P256_ORDER


@pytest.mark.parametrize(
    ("extension", "complaint"),
    [
        (attributes_extension('{"attrs":{"a":"1","a":"2"}}'), "comes twice"),
        (attributes_extension('{"attrs":{"a":1}}'), "name: text"),
        (attributes_extension('["attrs"]'), "name: text"),
        (attributes_extension("{"), "not a JSON text"),
        ("1.2.3.4=critical,DER:0500", "1.2.3.4 is not understood"),
        ("nameConstraints=critical,permitted;DNS:example.org", "not understood"),
    ],
)
def test_refuses_extensions_that_it_cannot_honour(ca, extension: str, complaint: str) -> None:  # type: ignore[no-untyped-def]
    pem = ca.issue("/OU=peer/CN=p", extension)
    with pytest.raises(MalformedCertificate, match=complaint):
        Certificate.from_pem(pem)


def test_refuses_other_keys(ca) -> None:  # type: ignore[no-untyped-def]
    for kind in (
        ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
        ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    ):
        with pytest.raises(MalformedCertificate, match="neither P-256 nor Ed25519"):
            Certificate.from_pem(ca.issue(key=kind))


def test_refuses_texts_that_are_not_one_certificate(ca) -> None:  # type: ignore[no-untyped-def]
    pem = ca.issue()
    begin, end = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"
    junk = base64.b64encode(b"junk" * 30).decode()
    for text in (
        "",
        pem + pem,
        f"subject=peer\n{pem}",
        pem.replace("CERTIFICATE", "X509 CRL"),
        pem[:-40],
        f"{begin}{junk}\n{end}",
        f"{begin}!!!!\n{end}",
        f"{begin}{end}",
        begin + "A" * 40_000 + end,
        "ü" + pem,
    ):
        with pytest.raises(MalformedCertificate):
            Certificate.from_pem(text)
    with pytest.raises(MalformedCertificate, match="ASCII"):
        Certificate.from_pem("ü".encode())
    with pytest.raises(MalformedCertificate):
        Certificate.from_der(Certificate.from_pem(pem).der + b"\0")
    with pytest.raises(MalformedCertificate, match="more than one common name"):
        Certificate.from_pem(ca.issue("/OU=peer/CN=a/CN=b"))


def test_a_known_certificate_is_not_parsed_again(ca) -> None:  # type: ignore[no-untyped-def]
    pem = ca.issue()
    known = Certificate.from_pem(pem)
    assert Certificate.from_pem(pem) is known
    assert Certificate.from_der(known.der) is Certificate.from_der(known.der)
