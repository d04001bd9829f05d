"""What an authority signs, as the openssl command sees it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.errors import SettingsError
from gridledger.identity import MSP, CertificateRevoked, MSPManager, generate_key, make_csr
from gridledger.identity.low_s import P256_HALF_ORDER
from services.ca.authority import DAY_US, SECOND_US, Authority, Revocation, requested_key
from services.ca.errors import MalformedRequest
from tests.support.examples import examples

CSR = make_csr(generate_key(), "peer1")
NOW_US = int(time.time()) * SECOND_US


def openssl(folder: Path, *arguments: str, good: bool = True) -> str:
    done = subprocess.run(["openssl", *arguments], cwd=folder, check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode == 0) is good, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def authority() -> Authority:
    return Authority.create("Org1 CA", "Org1", now_us=NOW_US, lifetime_us=3650 * DAY_US)


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_openssl_verifies_the_chain(authority: Authority, tmp_path: Path, kind) -> None:  # type: ignore[no-untyped-def]
    certificate = authority.issue(
        generate_key(kind).public_key(),
        "peer1.org1",
        "peer",
        now_us=NOW_US,
        lifetime_us=365 * DAY_US,
        attributes={"hf.Type": "peer", "group": "2"},
        hosts=["localhost", "127.0.0.1", "peer1.org1.example"],
    )
    (tmp_path / "root.pem").write_text(authority.root.pem)
    (tmp_path / "leaf.pem").write_text(certificate.pem)
    strict = ("-x509_strict", "-CAfile", "root.pem")
    for name, kind_of_name in (("localhost", "hostname"), ("127.0.0.1", "ip")):
        openssl(tmp_path, "verify", *strict, "-purpose", "sslserver", f"-verify_{kind_of_name}", name, "leaf.pem")
    openssl(tmp_path, "verify", *strict, "-purpose", "sslserver", "-verify_hostname", "other", "leaf.pem", good=False)
    openssl(tmp_path, "verify", *strict, "-purpose", "sslclient", "leaf.pem")
    told = openssl(tmp_path, "x509", "-in", "leaf.pem", "-noout", "-text")
    assert "O = Org1, OU = peer, CN = peer1.org1" in told
    assert '{"attrs":{"group":"2","hf.Type":"peer"}}' in told
    assert "Digital Signature\n" in told
    assert "CA:FALSE" in told


def test_openssl_tells_the_fingerprints_that_we_tell(tmp_path: Path) -> None:
    """The lower of the two possible s stands in all that an authority issues, and in what is told of it."""
    for number in range(8):
        authority = Authority.create("Org1 CA", "Org1", now_us=NOW_US, lifetime_us=DAY_US)
        key = generate_key().public_key()
        for certificate in (authority.root, authority.issue(key, "c", "client", now_us=NOW_US, lifetime_us=DAY_US)):
            assert certificate.x509.public_bytes(Encoding.DER) == certificate.der
            assert decode_dss_signature(certificate.x509.signature)[1] <= P256_HALF_ORDER
            (tmp_path / f"{number}.pem").write_text(certificate.pem)
            told = openssl(tmp_path, "x509", "-in", f"{number}.pem", "-noout", "-fingerprint", "-sha256")
            assert told.replace(":", "").strip().endswith(certificate.fingerprint.upper())


def test_without_hosts_a_certificate_serves_nothing(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue(generate_key().public_key(), "client1", "client", now_us=NOW_US, lifetime_us=DAY_US)
    (tmp_path / "root.pem").write_text(authority.root.pem)
    (tmp_path / "leaf.pem").write_text(certificate.pem)
    openssl(tmp_path, "verify", "-CAfile", "root.pem", "-purpose", "sslclient", "leaf.pem")
    openssl(tmp_path, "verify", "-CAfile", "root.pem", "-purpose", "sslserver", "leaf.pem", good=False)


def test_openssl_heeds_the_revocation_list(authority: Authority, tmp_path: Path) -> None:
    good, bad = (
        authority.issue(generate_key().public_key(), name, "peer", now_us=NOW_US, lifetime_us=DAY_US)
        for name in ("good", "bad")
    )
    crl = authority.revocation_list([Revocation(bad.serial, NOW_US)], 7, now_us=NOW_US, lifetime_us=DAY_US)
    for name, pem in (("root", authority.root.pem), ("good", good.pem), ("bad", bad.pem), ("crl", crl)):
        (tmp_path / f"{name}.pem").write_text(pem)
    check = ("verify", "-x509_strict", "-crl_check", "-CAfile", "root.pem", "-CRLfile", "crl.pem")
    openssl(tmp_path, *check, "good.pem")
    assert "certificate revoked" in openssl(tmp_path, *check, "bad.pem", good=False)
    told = openssl(tmp_path, "crl", "-in", "crl.pem", "-noout", "-text", "-CAfile", "root.pem")
    assert "verify OK" in told
    assert "X509v3 CRL Number: \n                7" in told
    assert "Next Update" in told
    manager = MSPManager({"Org1MSP": MSP("Org1MSP", [authority.root.pem], [crl])})
    assert manager.identify(good, NOW_US).role == "peer"
    with pytest.raises(CertificateRevoked):
        manager.identify(bad, NOW_US)


def test_a_request_made_by_openssl(tmp_path: Path) -> None:
    openssl(tmp_path, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
    openssl(tmp_path, "req", "-new", "-key", "key.pem", "-subj", "/CN=whoever", "-out", "request.pem")
    assert isinstance(requested_key((tmp_path / "request.pem").read_text()), ec.EllipticCurvePublicKey)
    openssl(tmp_path, "genpkey", "-algorithm", "RSA", "-out", "rsa.pem")
    openssl(tmp_path, "req", "-new", "-key", "rsa.pem", "-subj", "/CN=whoever", "-out", "rsa-request.pem")
    with pytest.raises(MalformedRequest, match="neither P-256 nor Ed25519"):
        requested_key((tmp_path / "rsa-request.pem").read_text())


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_a_damaged_request_is_refused(data: st.DataObject) -> None:
    lines = CSR.splitlines()
    line = data.draw(st.integers(1, len(lines) - 2))
    column = data.draw(st.integers(0, len(lines[line]) - 1))
    other = data.draw(st.sampled_from("Aa1+/"))
    damaged = lines[line][:column] + other + lines[line][column + 1 :]
    if lines[line][column] in {other, "="}:
        return
    # Bits behind the last one that counts are not part of what was signed.
    if lines[line + 1].startswith("-----END") and column >= len(lines[line].rstrip("=")) - 1:
        return
    with pytest.raises(MalformedRequest):
        requested_key("\n".join([*lines[:line], damaged, *lines[line + 1 :]]))


def test_other_texts_are_no_requests(authority: Authority) -> None:
    for text in ("", "x", authority.root.pem, "ü", "-" * 20_000):
        with pytest.raises(MalformedRequest):
            requested_key(text)


def test_certificates_never_outlive_the_root_nor_precede_it() -> None:
    authority = Authority.create("Org1 CA", "Org1", now_us=NOW_US, lifetime_us=10 * DAY_US)
    certificate = authority.issue(generate_key().public_key(), "p", "peer", now_us=NOW_US, lifetime_us=365 * DAY_US)
    assert certificate.not_after_us == authority.root.not_after_us
    assert certificate.not_before_us >= authority.root.not_before_us


def test_serial_numbers_are_random(authority: Authority) -> None:
    key = generate_key().public_key()
    serials = {authority.issue(key, "p", "peer", now_us=NOW_US, lifetime_us=DAY_US).serial for _ in range(20)}
    assert len(serials) == 20
    assert max(serials) > 2**140


def test_opens_what_it_made(tmp_path: Path) -> None:
    def reopened() -> Authority:
        return Authority.open(tmp_path / "ca", "Org1 CA", "Org1", now_us=NOW_US, lifetime_us=DAY_US)

    first = reopened()
    assert reopened().root == first.root
    assert (tmp_path / "ca" / "key.pem").stat().st_mode & 0o777 == 0o600
    # Killed between key and root at the first start: the key is used.
    (tmp_path / "ca" / "root.pem").unlink()
    again = reopened()
    assert again.root.public_key == first.root.public_key
    key = (tmp_path / "ca" / "key.pem").read_bytes()
    (tmp_path / "ca" / "key.pem").unlink()
    with pytest.raises(SettingsError, match="has lost its key"):
        reopened()
    other = Authority.open(tmp_path / "other", "Org1 CA", "Org1", now_us=NOW_US, lifetime_us=DAY_US)
    (tmp_path / "ca" / "key.pem").write_bytes((tmp_path / "other" / "key.pem").read_bytes())
    with pytest.raises(SettingsError, match="is not the key of"):
        reopened()
    assert key
    assert other.root != again.root
