"""Whatever a certificate or a revocation list holds: it is refused by an error of ours, or never raises later."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from gridledger.identity import MSP, BadMSP, Certificate, IdentityError, MalformedCertificate, MSPManager
from gridledger.identity.reading import reading
from tests.support.forgery import of_version_2
from tests.support.fuzzing import damaged, tries, trying
from tests.support.paper import NOW_US, PaperOrganisation
from tests.support.paper.organisation import der

ORG = PaperOrganisation("Org1MSP")
PEER = ORG.issue("peer1", "peer", attributes={"group": "2"}).certificate
ROOT = Certificate.from_pem(ORG.root)
MANAGER = MSPManager({"Org1MSP": MSP("Org1MSP", [ORG.root])})
CRL = x509.load_pem_x509_crl(ORG.crl(ORG.issue("gone", "client"), ORG.issue("left", "client")).encode())


def pem(kind: str, der: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(der).decode()}-----END {kind}-----\n"


def use(der: bytes) -> None:
    """Read a certificate and do with it all that is ever done."""
    try:
        certificate = Certificate.from_der(der)
    except MalformedCertificate:
        return
    assert Certificate.from_pem(certificate.pem) == certificate
    assert isinstance(certificate.is_issued_by(ROOT), bool)
    assert not certificate.verify(b"0", b"data")
    assert repr(certificate)
    with suppress(IdentityError):
        assert MANAGER.identify(certificate, NOW_US).signer == ("Org1MSP", certificate.subject)


@tries(300)
def test_any_certificate_is_refused_or_raises_nothing_later(count: int) -> None:
    @trying(count)
    @given(damaged(PEER.der), damaged(PEER.x509.tbs_certificate_bytes))
    def holds(bytes_changed: bytes, content_changed: bytes) -> None:
        use(bytes_changed)
        use(ORG.seal(content_changed))

    holds()


@tries(300)
def test_any_revocation_list_is_refused_or_read(count: int) -> None:
    @trying(count)
    @given(damaged(CRL.public_bytes(Encoding.DER)), damaged(CRL.tbs_certlist_bytes))
    def holds(bytes_changed: bytes, content_changed: bytes) -> None:
        for changed in (bytes_changed, ORG.seal(content_changed)):
            try:
                read = MSP("Org1MSP", [ORG.root], [pem("X509 CRL", changed)])
            except BadMSP:
                continue
            MSPManager({"Org1MSP": read}).identify(PEER, NOW_US)

    holds()


@tries(300)
def test_any_text_is_one_certificate_or_refused(count: int) -> None:
    @trying(count)
    @given(damaged(PEER.pem.encode()), st.text(max_size=60))
    def holds(changed: bytes, other: str) -> None:
        for text in (changed, changed.decode("latin-1"), PEER.pem.replace("MII", other, 1), other):
            with suppress(MalformedCertificate):
                Certificate.from_pem(text)
            with suppress(BadMSP):
                MSP("Org1MSP", [text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")], [other])

    holds()


def test_what_the_library_cannot_read_is_an_error_of_ours(ca) -> None:  # type: ignore[no-untyped-def]
    two = Certificate.from_pem(ca.issue("/OU=peer/CN=p", "1.2.3.4=DER:0500", "1.2.3.5=DER:0500")).der
    serial = der(0x02, PEER.serial.to_bytes(20, "big"))
    content = PEER.x509.tbs_certificate_bytes
    assert serial in content
    for made in (
        of_version_2(PEER.der),
        ORG.seal(of_version_2(content)),
        two.replace(bytes.fromhex("06032a0305"), bytes.fromhex("06032a0304")),  # one extension twice
        ORG.seal(content.replace(serial, der(0x02, bytes(20)))),
        b"",
        PEER.der[:-1],
    ):
        with pytest.raises(MalformedCertificate):
            Certificate.from_der(made)
    with pytest.raises(MalformedCertificate):
        Certificate.from_pem(PEER.pem.replace("MII", "MÜI", 1))


def test_a_panic_of_the_library_is_an_error_of_ours() -> None:
    panic = type("PanicException", (BaseException,), {})
    with pytest.raises(MalformedCertificate, match="the reader gave"), reading(MalformedCertificate, "no certificate"):
        raise panic
    for passing in (KeyboardInterrupt, MemoryError):
        with pytest.raises(passing), reading(MalformedCertificate, "no certificate"):
            raise passing
