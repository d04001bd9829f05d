"""Signers other than a key in a file: HSMs, remote signers, and signatures brought from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from gridledger.client import Gateway, Timeouts
from gridledger.client.signers import DigestSigner, OfflineSigner, Signer
from gridledger.errors import SettingsError, TimeoutExceeded
from gridledger.identity.certificate import Certificate
from gridledger.identity.low_s import P256_HALF_ORDER, P256_ORDER
from gridledger.identity.signer import SigningIdentity, generate_key, normalised
from gridledger.protocol.errors import BadCreatorSignature
from gridledger.protocol.transaction import Transaction
from tests.support.paper import PaperNetwork
from tests.unit.client.paper_gateway import PaperGateway


@pytest.fixture
def peer() -> PaperGateway:
    return PaperGateway()


@pytest.fixture
def alice(peer: PaperGateway) -> SigningIdentity:
    return peer.paper.client


def device(identity: SigningIdentity, *, high_s: bool = False, raw: bool = False) -> Callable[[bytes], bytes]:
    """Signs digests as an HSM does."""

    def sign(digest: bytes) -> bytes:
        key = identity.private_key
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        s = max(s, P256_ORDER - s) if high_s else min(s, P256_ORDER - s)
        return r.to_bytes(32) + s.to_bytes(32) if raw else encode_dss_signature(r, s)

    return sign


def is_sound(transaction: Transaction, certificate: Certificate, text: bytes) -> bool:
    return transaction.proposal.certificate() == certificate and certificate.verify(transaction.signature, text)


@pytest.mark.parametrize("high_s", [True, False])
@pytest.mark.parametrize("raw", [True, False])
async def test_a_device_that_signs_digests(peer: PaperGateway, alice: SigningIdentity, high_s: bool, raw: bool) -> None:
    signer = DigestSigner(alice.certificate, alice.mspid, device(alice, high_s=high_s, raw=raw))
    kv = peer.gateway(signer=signer).get_network("shard1").get_contract("kv")
    transaction = await (await kv.new_proposal("put", "k", 1)).endorse()
    assert alice.certificate.verify(peer.proposals[0].signature, peer.proposals[0].proposal.text.encode())
    assert is_sound(transaction.transaction, alice.certificate, transaction.bytes)


async def test_a_remote_signer_is_waited_for(peer: PaperGateway, alice: SigningIdentity) -> None:
    class Remote:
        certificate, mspid = alice.certificate, alice.mspid

        async def sign(self, message: bytes) -> bytes:
            await asyncio.sleep(0)
            return alice.sign(message)

    kv = peer.gateway(signer=Remote()).get_network("shard1").get_contract("kv")
    await kv.submit_transaction("put", "k", 1)
    assert peer.submitted[0].proposal.certificate() == alice.certificate


async def test_a_remote_signer_is_waited_for_so_long_and_no_longer(peer: PaperGateway, alice: SigningIdentity) -> None:
    class Remote:
        certificate, mspid = alice.certificate, alice.mspid

        async def sign(self, message: bytes) -> bytes:
            await asyncio.Event().wait()
            return message

    gateway = peer.gateway(Timeouts(endorse_s=0.01), signer=Remote())
    with pytest.raises(TimeoutExceeded, match=r"the signer gave no signature within 0\.01 s"):
        await gateway.get_network("shard1").get_contract("kv").new_proposal("put", "k", 1)


async def test_what_a_signer_gives_is_verified(peer: PaperGateway, alice: SigningIdentity) -> None:
    for wrong in (b"", b"x" * 64, b"x" * 70, alice.sign(b"another text")):
        signer = DigestSigner(alice.certificate, alice.mspid, lambda _, wrong=wrong: wrong)  # type: ignore[misc]
        kv = peer.gateway(signer=signer).get_network("shard1").get_contract("kv")
        with pytest.raises(BadCreatorSignature, match="not one of 'client' over these bytes"):
            await kv.submit_transaction("put", "k", 1)
    assert peer.proposals == []


async def test_signatures_are_brought_from_elsewhere(peer: PaperGateway, alice: SigningIdentity) -> None:
    gateway = peer.gateway(signer=OfflineSigner(alice.certificate, alice.mspid))
    kv = gateway.get_network("shard1").get_contract("kv")
    proposal = await kv.new_proposal("put", "k", 1, transient={"secret": 1}, endorsing_organisations=["Org1MSP"])
    assert proposal.digest == sha256(proposal.bytes).digest()
    for unsigned in (proposal.endorse, proposal.evaluate):
        with pytest.raises(SettingsError, match="the proposal is not signed"):
            await unsigned()
    transaction = await proposal.with_signature(device(alice, high_s=True)(proposal.digest)).endorse()
    assert (peer.proposals[0].transient, peer.organisations) == ({"secret": 1}, [("Org1MSP",)])
    assert transaction.tx_id == proposal.tx_id
    for unsubmitted in (transaction.submit, transaction.submit_and_wait):
        with pytest.raises(SettingsError, match="the transaction is not signed"):
            await unsubmitted()
    assert transaction.digest == sha256(transaction.bytes).digest()
    signed = transaction.with_signature(alice.sign(transaction.bytes))
    assert (await signed.submit_and_wait()).successful
    assert is_sound(peer.submitted[0], alice.certificate, transaction.bytes)


async def test_a_signature_of_another_text_is_refused(peer: PaperGateway, alice: SigningIdentity) -> None:
    gateway = peer.gateway(signer=OfflineSigner(alice.certificate, alice.mspid))
    kv = gateway.get_network("shard1").get_contract("kv")
    proposal, other = await kv.new_proposal("put", "k", 1), await kv.new_proposal("put", "k", 1)
    signature = alice.sign(proposal.bytes)
    with pytest.raises(BadCreatorSignature):
        other.with_signature(signature)
    transaction = await proposal.with_signature(signature).endorse()
    with pytest.raises(BadCreatorSignature):
        transaction.with_signature(signature)


def test_a_signer_without_a_file_needs_an_identity_for_tls(alice: SigningIdentity, tmp_path: Path) -> None:
    roots = PaperNetwork().config.msps.roots_pem()
    signer: Signer = OfflineSigner(alice.certificate, alice.mspid)
    with pytest.raises(SettingsError, match="needs a tls_identity"):
        Gateway.connect("https://localhost:1", signer, roots=roots)
    assert Gateway.connect("https://localhost:1", signer, roots=roots, tls_identity=alice).identity is signer


def test_digests_are_not_what_ed25519_signs(alice: SigningIdentity) -> None:
    class Ed25519Certificate:
        public_key = generate_key("ed25519").public_key()

    certificate: Certificate = Ed25519Certificate()  # type: ignore[assignment]
    with pytest.raises(SettingsError, match="Ed25519 signs messages"):
        DigestSigner(certificate, "Org1MSP", lambda digest: digest)
    assert normalised(b"x" * 64, certificate) == b"x" * 64


def test_the_lower_s_is_taken(alice: SigningIdentity) -> None:
    def s_of(signature: bytes) -> int:
        return decode_dss_signature(normalised(signature, alice.certificate))[1]

    digest = sha256(b"a text").digest()
    assert all(s_of(device(alice, high_s=high)(digest)) <= P256_HALF_ORDER for high in (True, False))
