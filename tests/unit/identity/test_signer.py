"""Signing identities: low S, determinism, their folder."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.errors import InputError
from gridledger.files import write_atomically
from gridledger.identity import BadIdentityFolder, Certificate, SigningIdentity, generate_key, make_csr, signer
from gridledger.identity.low_s import P256_HALF_ORDER
from gridledger.identity.signer import load_private_key, private_key_pem, sign_p256
from tests.support.examples import examples
from tests.support.paper import PaperOrganisation
from tests.support.processes import REPOSITORY

KEY = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
"""The P-256 key of RFC 6979, A.2.5."""


def test_rfc_6979_test_vectors() -> None:
    order = 2 * P256_HALF_ORDER + 1
    r, s = decode_dss_signature(sign_p256(KEY, b"sample"))
    assert r == 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    assert s == order - 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    r, s = decode_dss_signature(sign_p256(KEY, b"test"))
    assert r == 0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367
    assert s == 0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=200))
def test_signatures_are_low_s_and_deterministic(data: bytes) -> None:
    signature = sign_p256(KEY, data)
    assert decode_dss_signature(signature)[1] <= P256_HALF_ORDER
    assert sign_p256(KEY, data) == signature


@pytest.mark.parametrize("kind", [(), ("-algorithm", "ED25519")], ids=["p256", "ed25519"])
def test_folder_round_trip(ca, tmp_path: Path, kind: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    certificate = Certificate.from_pem(ca.issue(key=kind))
    signer = SigningIdentity(certificate, load_private_key(ca.key_pem(), "leaf.key"), "Org1MSP")
    assert signer.directory is None
    signer.save(tmp_path / "msp")
    assert stat.S_IMODE((tmp_path / "msp" / "key.pem").stat().st_mode) == 0o600
    again = SigningIdentity.load(tmp_path / "msp")
    assert again.directory == tmp_path / "msp"
    assert (again.certificate, again.mspid, again.name) == (certificate, "Org1MSP", "peer1")
    assert again.sign(b"x") == signer.sign(b"x")
    assert certificate.verify(again.sign(b"x"), b"x")
    assert sorted(path.name for path in (tmp_path / "msp").iterdir()) == ["cert.pem", "key.pem", "mspid"]


def test_a_renewal_that_is_cut_short_leaves_the_old_identity_or_the_new(ca, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "msp"
    old, new = (
        SigningIdentity(Certificate.from_pem(ca.issue(name=name)), load_private_key(ca.key_pem(name), name), "Org1MSP")
        for name in ("old", "new")
    )
    old.save(folder)
    # Killed before the certificate was replaced: the new key waits, the old identity is whole.
    (folder / f"key.{new.fingerprint}.pem").write_bytes(private_key_pem(new.private_key))
    assert SigningIdentity.load(folder).certificate == old.certificate
    # Killed right after it: the next start finishes.
    (folder / "cert.pem").write_text(new.certificate.pem)
    assert SigningIdentity.load(folder).certificate == new.certificate
    assert (folder / "key.pem").read_bytes() == private_key_pem(new.private_key)
    (folder / "key.other.pem").touch()
    old.save(folder)
    new.save(folder)
    assert SigningIdentity.load(folder).sign(b"x") == new.sign(b"x")
    assert sorted(path.name for path in folder.iterdir()) == ["cert.pem", "key.pem", "mspid"]


RENEW = """
import sys
from tests.support.paper.organisation import PaperOrganisation
organisation = PaperOrganisation("Org1MSP")
for number in range(60):
    organisation.issue(f"alice{number}", "client").save(sys.argv[1])
"""


def test_a_folder_can_be_loaded_while_it_is_renewed(tmp_path: Path) -> None:
    """Another process renews it again and again; each load finds a certificate with its own key, or raises."""
    loaded = set()
    with subprocess.Popen([sys.executable, "-c", RENEW, str(tmp_path)], cwd=REPOSITORY) as renewing:
        while renewing.poll() is None:
            if (tmp_path / "cert.pem").exists():
                loaded.add(SigningIdentity.load(tmp_path).name)
    assert renewing.returncode == 0
    assert len(loaded) > 10


def test_two_renewals_of_one_folder_leave_one_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes when the first has put its key beside the old one, and its certificate not yet in place."""
    first, second = (PaperOrganisation("Org1MSP").issue(name, "client") for name in ("first", "second"))
    waits_or_is_done, write = threading.Event(), write_atomically
    others: list[threading.Thread] = []

    def renew() -> None:
        second.save(tmp_path)
        waits_or_is_done.set()

    def write_with_another(path: Path, data: bytes, **options: Any) -> None:
        if path.name == "cert.pem" and not others:
            others.append(threading.Thread(target=renew))
            others[0].start()
            assert waits_or_is_done.wait(10)
        write(path, data, **options)

    def wait(_: float) -> None:
        waits_or_is_done.set()

    monkeypatch.setattr(signer, "write_atomically", write_with_another)
    monkeypatch.setattr(time, "sleep", wait)
    first.save(tmp_path)
    others[0].join(10)
    assert SigningIdentity.load(tmp_path).name == "second"


def test_a_renewal_waits_for_another_one_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = PaperOrganisation("Org1MSP").issue("alice", "client")
    monkeypatch.setattr(signer, "SAVED_WITHIN_S", 0.0)
    with signer._renewing(tmp_path), pytest.raises(BadIdentityFolder, match="is being renewed by another program"):
        identity.save(tmp_path)
    identity.save(tmp_path)
    assert SigningIdentity.load(tmp_path).certificate == identity.certificate


def test_bad_folders_are_named(ca, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "msp"
    with pytest.raises(BadIdentityFolder, match=r"cert\.pem: No such file"):
        SigningIdentity.load(folder)
    SigningIdentity(Certificate.from_pem(ca.issue()), load_private_key(ca.key_pem(), "leaf.key"), "M").save(folder)
    key = (folder / "key.pem").read_bytes()
    (folder / "key.pem").write_bytes(private_key_pem(generate_key()))
    with pytest.raises(BadIdentityFolder, match="does not belong to the certificate of 'peer1'"):
        SigningIdentity.load(folder)
    (folder / "key.pem").write_bytes(b"no key")
    with pytest.raises(BadIdentityFolder, match=r"key\.pem is not an unencrypted PEM private key"):
        SigningIdentity.load(folder)
    (folder / "key.pem").write_bytes(key)
    for text in ("", "two words", "Ö"):
        (folder / "mspid").write_text(text)
        with pytest.raises(BadIdentityFolder, match="mspid"):
            SigningIdentity.load(folder)


def test_openssl_accepts_our_request(ca) -> None:  # type: ignore[no-untyped-def]
    for kind in ("p256", "ed25519"):
        csr = make_csr(
            generate_key(kind), "peer1.org1", organisational_units=["peer"], hosts=["localhost", "127.0.0.1", "::1"]
        )
        (ca.folder / "request.pem").write_text(csr)
        told = ca.run("req", "-in", "request.pem", "-verify", "-noout", "-text")
        assert "OU = peer, CN = peer1.org1" in told
        assert "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1" in told
        assert x509.load_pem_x509_csr(csr.encode()).is_signature_valid


def test_impossible_wishes_are_refused() -> None:
    with pytest.raises(InputError, match="'p256' or 'ed25519'"):
        generate_key("rsa")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="neither an IP address"):
        make_csr(generate_key(), "peer1", hosts=["größe.example"])
