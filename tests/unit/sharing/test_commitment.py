"""Commitments to shares and the audits of their holders."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest

from gridledger.protocol import merkle
from gridledger.sharing import commitment


def test_the_root_is_rfc_6962s_over_chunks_of_4_kib() -> None:
    share = bytes(range(256)) * 40  # 10,240 bytes: two chunks and a half
    leaf = [sha256(b"\0" + share[at : at + 4096]).digest() for at in (0, 4096, 8192)]
    left = sha256(b"\1" + leaf[0] + leaf[1]).digest()
    assert commitment.root(share) == sha256(b"\1" + left + leaf[2]).digest()
    assert commitment.root(b"") == sha256(b"").digest()
    assert commitment.root(b"x") == sha256(b"\0x").digest()


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 8192])
def test_a_share_that_was_cut_or_lengthened_has_another_root(size: int) -> None:
    share = bytes(size)
    assert len({commitment.root(share), commitment.root(share[:-1]), commitment.root(share + b"\0")}) == 3


def test_an_audit_passes_with_the_share_alone() -> None:
    secret, share = bytes(32), b"share" * 1000
    nonces = [commitment.audit_nonce(secret, "m1-vl-1", number) for number in range(64)]
    assert nonces[3] == hmac.digest(secret, b"m1-vl-1" + (3).to_bytes(8, "big"), "sha256")
    assert len(set(nonces)) == 64
    assert commitment.audit_nonce(secret, "m1-vl-", 11) != commitment.audit_nonce(secret, "m1-vl-1", 1)
    commitments = [commitment.audit_commitment(nonce, share) for nonce in nonces]
    answer = commitment.audit_answer(nonces[5], share)
    assert answer == sha256(nonces[5] + share).digest()
    assert sha256(answer).digest() == commitments[5]
    assert sha256(commitment.audit_answer(nonces[5], share[:-1])).digest() != commitments[5]
    path = commitment.audit_path(commitments, 5)
    assert merkle.root_from_path(commitments[5], 5, 64, path) == commitment.audit_root(commitments)
    assert merkle.root_from_path(commitments[6], 5, 64, path) != commitment.audit_root(commitments)
