"""What contracts check: audit paths and signatures. The answer is one and the same, and nothing else is raised."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from gridledger.contract import ContractError, crypto, evidence
from gridledger.evidence import schnorr
from gridledger.identity.low_s import P256_ORDER
from gridledger.identity.signer import generate_key, sign_p256
from gridledger.protocol import merkle
from tests.support.vault_channel import certificate, private_key

KEY = private_key(11)
MESSAGE = b"what was signed"
SIGNATURE = sign_p256(KEY, MESSAGE)


def pem_of(key: object) -> str:
    public = key.public_key()  # type: ignore[attr-defined]
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(public.public_bytes(serialization.Encoding.PEM, form).decode())


PEM = pem_of(KEY)
CERTIFICATE = certificate("c", 11)
CERTIFICATE_PEM = f"-----BEGIN CERTIFICATE-----\n{CERTIFICATE}\n-----END CERTIFICATE-----\n"


@given(st.integers(1, 70), st.data())
def test_a_path_leads_to_its_root_and_to_no_other(count: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) * 3 for number in range(count)]
    index = data.draw(st.integers(0, count - 1))
    path, root = merkle.path(leaves, index), merkle.root(leaves)
    assert crypto.verify_path(leaves[index], index, count, path, root)
    assert not crypto.verify_path(b"other", index, count, path, root)
    assert not crypto.verify_path(leaves[index], index, count, path, bytes(32))
    assert not crypto.verify_path(leaves[index], index, count, [*path, bytes(32)], root)
    if path:
        assert not crypto.verify_path(leaves[index], index, count, path[:-1], root)
        assert not crypto.verify_path(leaves[index], index, count, [bytes(32), *path[1:]], root)
        other = (index + 1) % count
        assert not crypto.verify_path(leaves[index], other, count, path, root)


def test_what_can_be_no_tree_is_refused_and_what_is_no_path_is_false() -> None:
    root = merkle.root([b"a"])
    assert crypto.verify_path(b"a", 0, 1, [], root)
    for index, count in ((0, 0), (1, 1), (-1, 1), (0, 2**63 + 1), (0, -1)):
        with pytest.raises(ContractError):
            crypto.verify_path(b"a", index, count, [], root)
    with pytest.raises(ContractError, match="a leaf has at most"):
        crypto.verify_path(bytes(2**20 + 1), 0, 1, [], root)
    assert not crypto.verify_path(b"a", 0, 2, [b"short"], root)
    assert not crypto.verify_path(b"a", 0, 1, [], b"short")
    assert not crypto.verify_path(b"a", 0, 2**63, [bytes(32)] * 64, root)


@pytest.mark.parametrize("key", [PEM, CERTIFICATE_PEM])
def test_a_signature_holds_under_its_key_alone(key: str) -> None:
    assert crypto.verify_ecdsa(key, MESSAGE, SIGNATURE)
    assert not crypto.verify_ecdsa(key, MESSAGE + b".", SIGNATURE)
    assert not crypto.verify_ecdsa(pem_of(private_key(12)), MESSAGE, SIGNATURE)
    assert crypto.public_key_of(CERTIFICATE) == crypto.public_key_of(CERTIFICATE_PEM) == PEM


def test_a_signature_has_one_form() -> None:
    r, s = decode_dss_signature(SIGNATURE)
    loose = b"\x30\x81" + SIGNATURE[1:]  # a length in two bytes
    padded = SIGNATURE[:1] + bytes([SIGNATURE[1] + 1]) + SIGNATURE[2:3] + bytes([SIGNATURE[3] + 1, 0]) + SIGNATURE[4:]
    for other in (
        *(encode_dss_signature(r, P256_ORDER - s), encode_dss_signature(0, s), encode_dss_signature(r, 0)),
        *(encode_dss_signature(r + P256_ORDER, s), loose, padded, SIGNATURE + b"\0", SIGNATURE[:-1], b"", b"\0" * 64),
        *(bytes(73), r.to_bytes(32) + s.to_bytes(32)),
    ):
        assert crypto.verify_ecdsa(PEM, MESSAGE, other) is False


@given(st.binary(max_size=80))
def test_no_bytes_make_it_fail(signature: bytes) -> None:
    assert crypto.verify_ecdsa(PEM, MESSAGE, signature) is (signature == SIGNATURE)


def test_a_key_that_is_none_is_refused() -> None:
    der = base64.b64decode("".join(PEM.splitlines()[1:-1]))
    off_curve = der[:-1] + bytes([der[-1] ^ 1])
    other_curve = pem_of(ec.derive_private_key(7, ec.SECP384R1()))
    ed25519 = generate_key("ed25519")
    for key in (
        *("", "x", PEM[:-5], PEM + "x", " " + PEM, PEM + PEM, PEM.replace("M", "é", 1), PEM.replace("\n", "\r\n")),
        *(framed(off_curve), framed(der[:-1]), framed(der + b"\0"), framed(b""), other_curve, pem_of(ed25519)),
        *("-----BEGIN CERTIFICATE-----", CERTIFICATE_PEM.replace("A", "B"), "x" * 40_000),
        f"-----BEGIN CERTIFICATE-----\n{certificate('c', 0, ed25519)}\n-----END CERTIFICATE-----\n",
    ):
        with pytest.raises(ContractError):
            crypto.verify_ecdsa(key, MESSAGE, SIGNATURE)
        with pytest.raises(ContractError):
            crypto.public_key_of(key)
    with pytest.raises(ContractError, match="a signed message has at most"):
        crypto.verify_ecdsa(PEM, bytes(2**20 + 1), SIGNATURE)


def framed(der: bytes) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"


def test_base64_has_one_form() -> None:
    lines = PEM.splitlines()
    assert lines[2].endswith("==")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    loose = lines[2][:-3] + last[last.index(lines[2][-3]) + 1] + "=="
    with pytest.raises(ContractError):
        crypto.verify_ecdsa("\n".join((lines[0], lines[1], loose, lines[3], "")), MESSAGE, SIGNATURE)


def test_a_contract_that_needs_neither_does_not_load_the_library_of_ciphers() -> None:
    """A host of any other chaincode starts without it, and has its memory for itself."""
    code = "import gridledger.contract, sys; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_consistency_of_trees_is_checked_within_bounds() -> None:
    tree = merkle.Tree()
    for number in range(9):
        tree.append(merkle.leaf_hash(bytes([number])))
    proof = tree.consistency(5, 9)
    assert crypto.verify_consistency(5, tree.root(5), 9, tree.root(9), proof)
    assert not crypto.verify_consistency(5, tree.root(4), 9, tree.root(9), proof)
    assert not crypto.verify_consistency(5, tree.root(5)[:-1], 9, tree.root(9), proof)
    assert not crypto.verify_consistency(5, tree.root(5), 9, tree.root(9), [*proof[:-1], b""])
    assert not crypto.verify_consistency(5, tree.root(5), 9, tree.root(9), [bytes(32)] * 65)
    assert crypto.verify_consistency(0, merkle.root([]), 2**63, tree.root(9), [])
    for first, size in ((-1, 9), (10, 9), (1, 2**63 + 1)):
        with pytest.raises(ContractError, match="begins with no more than it has"):
            crypto.verify_consistency(first, tree.root(5), size, tree.root(9), proof)


def test_schnorr_proofs_hold_for_their_key_user_and_text_alone() -> None:
    text = evidence.event_text(
        "section-plant", "pmu-7", 1, evidence.NO_EVENT, kind="alarm", time_us=5, body_sha256=evidence.text_hash("{}")
    )
    key = schnorr.public_of(7).hex()
    proof = schnorr.prove(7, "pmu-7", text, randbytes=lambda count: b"r" * count).text
    assert crypto.verify_schnorr(key, "pmu-7", text, proof)
    assert not crypto.verify_schnorr(schnorr.public_of(8).hex(), "pmu-7", text, proof)
    assert not crypto.verify_schnorr(key, "pmu-8", text, proof)
    assert not crypto.verify_schnorr(key, "pmu-7", text.replace("section-plant", "section-home"), proof)
    for wrong in ("", proof.upper(), proof[:-1], proof + "00", "0" * 194, "ж" * 194):
        assert not crypto.verify_schnorr(key, "pmu-7", text, wrong)


@pytest.mark.parametrize("key", ["", "04" + "0" * 128, "04" + "f" * 128, "g" * 130, schnorr.public_of(7).hex().upper()])
def test_what_is_no_key_for_proofs_is_refused(key: str) -> None:
    crypto.check_proof_key(schnorr.public_of(7).hex())
    with pytest.raises(ContractError, match="proof_key"):
        crypto.check_proof_key(key)
    with pytest.raises(ContractError, match="proof_key"):
        crypto.verify_schnorr(key, "u", "o", "")


def test_texts_of_a_proof_have_bounds() -> None:
    key = schnorr.public_of(7).hex()
    for user, other in (("u" * 1025, "o"), ("u", "o" * (2**20 + 1)), ("u", "ж" * (2**19 + 1))):
        with pytest.raises(ContractError, match="a proof is of a user of at most"):
            crypto.verify_schnorr(key, user, other, "")
    assert not crypto.verify_schnorr(key, "u" * 1024, "ж" * 2**19, "0" * 194)
