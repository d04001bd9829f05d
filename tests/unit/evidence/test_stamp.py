"""Time stamps over a package, made by openssl: a true one is taken, every other one is refused by what is wrong."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from gridledger.errors import InputError
from gridledger.evidence.report import Outcome, ProvedTransaction, Report, Step
from gridledger.evidence.stamp import (
    MAX_ROOTS_BYTES,
    MAX_STAMP_BYTES,
    BadStamp,
    Stamp,
    check_stamp,
    read_tsa_roots,
    with_sorted_certificates,
)
from gridledger.evidence.verification import verify_stamp
from gridledger.extras import MissingExtra
from services.case.stamping import request_over
from tests.support.time_stamps import TSA, openssl, verified_by_openssl

PACKAGE = b"a package's bytes"
DIGEST = sha256(PACKAGE).digest()
AUTHORITY = "CN=Time Stamp Authority,O=Stamps"


@dataclass
class Made:
    """An authority, its stamp over :data:`PACKAGE`, and the nonce in it."""

    tsa: TSA
    roots: list[x509.Certificate]
    query: bytes
    nonce: int
    stamp: bytes


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    tsa = TSA(tmp_path_factory.mktemp("tsa"))
    request = request_over(PACKAGE)
    stamp = tsa.reply(request.content)
    return Made(tsa, roots_of(tsa.root), request.content, request.nonce, stamp)


def roots_of(*files: Path) -> list[x509.Certificate]:
    return read_tsa_roots(b"".join(file.read_bytes() for file in files), "roots.pem")


def refused(data: bytes, made: Made, **changes: object) -> str:
    with pytest.raises(BadStamp) as caught:
        check_stamp(data, DIGEST, **{"roots": made.roots, **changes})  # type: ignore[arg-type]
    return caught.value.message


def test_a_true_stamp_is_verified_and_openssl_agrees(made: Made, tmp_path: Path) -> None:
    stamp = check_stamp(made.stamp, DIGEST, roots=made.roots, nonce=made.nonce)
    assert (stamp.authority, stamp.is_verified, stamp.accuracy_us) == (AUTHORITY, True, 1_500_000)
    assert (stamp.policy, stamp.imprint, stamp.nonce) == ("1.2.3.4.1", DIGEST, made.nonce)
    (tmp_path / "case.zip").write_bytes(PACKAGE)
    (tmp_path / "case.zip.tsr").write_bytes(made.stamp)
    assert verified_by_openssl(tmp_path / "case.zip.tsr", tmp_path / "case.zip", made.tsa.root)
    told = stamp.to_dict()
    certificate = x509.load_pem_x509_certificate(made.tsa.certificate.read_bytes())
    assert told["certificate_sha256"] == sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    assert told["verified"] is True
    assert Stamp(1_700_000_000_000_000, None, "", "", 255, "", b"", None).time == "2023-11-14T22:13:20Z"


def test_without_roots_it_is_read_and_not_verified(made: Made) -> None:
    stamp = check_stamp(made.stamp, DIGEST)
    assert (stamp.authority, stamp.is_verified) == (AUTHORITY, False)


def test_a_stamp_that_tells_no_accuracy_is_taken(made: Made) -> None:
    stamp = check_stamp(made.tsa.reply(made.query, accuracy=""), DIGEST, roots=made.roots)
    assert stamp.accuracy_us is None


def test_a_stamp_over_other_bytes_is_refused(made: Made) -> None:
    other = made.tsa.reply(request_over(b"another package").content)
    assert "it is over other bytes, of the SHA-256 " in refused(other, made)
    assert "it is over other bytes, of the SHA-256 " in refused(other, made, roots=())


def test_an_answer_to_another_request_is_refused(made: Made) -> None:
    again = made.tsa.reply(request_over(PACKAGE).content)
    assert refused(again, made, nonce=made.nonce).startswith("it does not carry the nonce of the request")
    assert check_stamp(again, DIGEST, roots=made.roots).is_verified


def test_a_refusal_is_no_stamp(made: Made) -> None:
    told = refused(made.tsa.reply(made.query, digests="sha512"), made)
    assert told == (
        "it holds no stamp: the authority refused with status 2, Message digest algorithm is not supported."
    )


def test_another_authoritys_roots_do_not_serve(made: Made, tmp_path: Path) -> None:
    other = TSA(tmp_path / "other")
    told = refused(made.stamp, made, roots=roots_of(other.root))
    assert told.endswith("leads to none of the roots, or does not hold: unable to get local issuer certificate")
    assert f"its signature by {AUTHORITY} leads to none" in told


@pytest.mark.parametrize(
    ("begin", "end"), [("20200101000000Z", "20210101000000Z"), ("20480101000000Z", "20490101000000Z")]
)
def test_an_authority_whose_certificate_was_not_valid_is_refused(begin: str, end: str, made: Made) -> None:
    certificate = made.tsa.issue("old.pem", begin=begin, end=end)
    stamp = made.tsa.reply(made.query, certificate=certificate)
    for roots in (made.roots, ()):
        assert "was not valid at the stamp's time" in refused(stamp, made, roots=roots)


def test_a_certificate_for_another_purpose_stamps_nothing(made: Made) -> None:
    # The very text of a true stamp, signed by a certificate of the same CA and key.
    true = made.tsa.signed_by(made.stamp, made.tsa.certificate)
    assert check_stamp(true, DIGEST, roots=made.roots).is_verified
    for name, extensions in (("code.pem", "signing"), ("none.pem", "root")):
        certificate = made.tsa.issue(name, extensions)
        told = refused(made.tsa.signed_by(made.stamp, certificate), made)
        assert told == f"the certificate of {AUTHORITY} is not for time stamps alone"


def test_a_stamp_signed_by_a_stranger_under_the_authoritys_name_is_refused(made: Made, tmp_path: Path) -> None:
    stranger = TSA(tmp_path / "stranger")
    forged = stranger.reply(made.query)
    assert check_stamp(forged, DIGEST).authority == AUTHORITY
    assert "leads to none of the roots" in refused(forged, made)


def test_intermediate_certificates_stand_in_the_stamp_or_among_the_roots(made: Made) -> None:
    between = made.tsa.issue("between.pem", "root", subject="/CN=B", key="between")
    certificate = made.tsa.issue("below.pem", by="between")
    alone = made.tsa.reply(made.query, certificate=certificate)
    assert "unable to get local issuer certificate" in refused(alone, made)
    assert check_stamp(alone, DIGEST, roots=roots_of(made.tsa.root, between)).is_verified
    # An intermediate certificate is no root: it leads to one, or to nothing.
    assert "leads to none of the roots" in refused(alone, made, roots=roots_of(between))
    # openssl puts the signer's first, which is the longer one: DER has it last.
    whole = made.tsa.reply(made.query, certificate=certificate, chain=between)
    assert with_sorted_certificates(whole) != whole
    assert check_stamp(whole, DIGEST, roots=made.roots).is_verified


def test_a_stamp_without_its_certificate_is_refused(made: Made, tmp_path: Path) -> None:
    query = tmp_path / "asked.tsq"
    openssl("ts", "-query", "-digest", DIGEST.hex(), "-sha256", "-out", query)
    stamp = made.tsa.reply(query.read_bytes())
    assert refused(stamp, made) == "it must have the certificate that signed it, once; it has it 0 times"


def test_two_certificates_of_the_signers_name_and_number_are_refused(made: Made, tmp_path: Path) -> None:
    """Who stamped would be told by the one, and proved by the other."""
    [root] = made.roots
    true = x509.load_pem_x509_certificate(made.tsa.certificate.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(root.subject, x509.Name.from_rfc4514_string("CN=Somebody better known"))
    builder = builder.serial_number(true.serial_number).public_key(key.public_key())
    builder = builder.not_valid_before(true.not_valid_before_utc).not_valid_after(true.not_valid_after_utc)
    for extension in true.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    other = tmp_path / "other.pem"
    other.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    told = refused(made.tsa.reply(made.query, chain=other), made)
    assert told == "it must have the certificate that signed it, once; it has it 2 times"


def test_another_hash_is_refused(made: Made, tmp_path: Path) -> None:
    query = tmp_path / "asked.tsq"
    openssl("ts", "-query", "-digest", "00" * 64, "-sha512", "-cert", "-out", query)
    assert refused(made.tsa.reply(query.read_bytes()), made) == "it is over another hash than SHA-256"


def test_a_flipped_bit_is_refused_wherever_something_is_said(made: Made) -> None:
    """What is taken with a bit flipped is the name of the signature's algorithm alone: nothing signs it, and neither
    openssl nor the library goes by it."""
    name = bytes.fromhex("06082a8648ce3d040302")  # ecdsa-with-SHA256
    place = made.stamp.rindex(name)
    taken = []
    for index in range(len(made.stamp)):
        changed = bytearray(made.stamp)
        changed[index] ^= 1 << index % 8
        try:
            check_stamp(bytes(changed), DIGEST, roots=made.roots)
        except BadStamp:
            continue
        taken.append(index)
    assert set(taken) <= set(range(place + 2, place + len(name)))


def test_whatever_the_bytes_are_they_are_refused_by_one_error(made: Made) -> None:
    draw = random.Random(3161)
    for _ in range(300):
        at, size = draw.randrange(len(made.stamp)), draw.randrange(1, 40)
        put = draw.choice((draw.randbytes(size), b"", made.stamp[at : at + size] * 2))
        changed = made.stamp[:at] + put + made.stamp[at + size :]
        if changed != made.stamp:
            with pytest.raises(BadStamp):
                check_stamp(changed, DIGEST, roots=made.roots)
    assert "has more than 65536 bytes" in refused(b"0" * (MAX_STAMP_BYTES + 1), made)
    assert "is no answer of a time stamp authority" in refused(b"", made)


def test_roots_are_certificates_in_pem() -> None:
    for pem, says in ((b"", "tsa.pem: it has no certificates in PEM"), (b"x" * (MAX_ROOTS_BYTES + 1), "more than")):
        with pytest.raises(InputError, match=says):
            read_tsa_roots(pem, "tsa.pem")


def test_without_the_library_it_is_said_what_to_install(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    for use in (lambda: check_stamp(made.stamp, DIGEST), lambda: request_over(PACKAGE)):
        with pytest.raises(MissingExtra, match=r"gridledger\[forensics\]"):
            use()


def judged(made: Made, stamp: bytes, report: Report | None = None, *, trusted: bool = True) -> Report:
    report = Report() if report is None else report
    verify_stamp(report, PACKAGE, stamp, name="case.zip.tsr", roots=made.roots if trusted else ())
    return report


def test_a_report_tells_the_stamp(made: Made) -> None:
    report = judged(made, made.stamp)
    assert report.stamp is not None
    assert (report.outcome, report.steps[-1].name, report.steps[-1].file) == (Outcome.PROVED, "stamp", "case.zip.tsr")
    says = f"this package was there at {report.stamp.time}, to within 1.5 s, says {AUTHORITY}"
    assert report.steps[-1].message == says
    assert report.notes == ["Whether the authority has revoked the certificate of its stamp was not checked."]
    assert report.to_dict()["stamp"] == report.stamp.to_dict()


def test_a_report_says_what_was_not_checked_without_roots(made: Made) -> None:
    report = judged(made, made.stamp, trusted=False)
    assert (report.exit_code, report.steps[-1].holds) == (0, True)
    assert report.steps[-1].message.endswith("who signed it was not checked")
    assert "Its signature was not checked, so anybody can have made it" in report.notes[-1]
    assert report.to_dict()["stamp"]["verified"] is False


def test_a_wrong_stamp_breaks_the_report(made: Made) -> None:
    report = judged(made, made.stamp[:-1])
    assert (report.exit_code, report.stamp, report.to_dict()["stamp"]) == (1, None, None)
    assert report.broken is not None
    assert (report.broken.name, report.broken.file) == ("stamp", "case.zip.tsr")
    broken = Report(Outcome.BROKEN, [Step("form", "x", "y", holds=False)])
    assert judged(made, made.stamp, broken).stamp is None
    assert len(broken.steps) == 1


@pytest.mark.parametrize(("after_us", "noted"), [(3_000_000, False), (4_000_000, True)])
def test_a_block_that_is_later_than_the_stamp_is_told(after_us: int, noted: bool, made: Made) -> None:
    time_us = check_stamp(made.stamp, DIGEST).time_us
    report = Report()
    report.transactions.append(
        ProvedTransaction("c", 1, 0, "tx", "events", "LogEvent", "M", "n", time_us + after_us, 2)
    )
    told = [note for note in judged(made, made.stamp, report).notes if "a later time than the stamp" in note]
    assert len(told) == noted
