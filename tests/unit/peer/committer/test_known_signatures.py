"""What a peer has signed or verified once is not verified a second time; everything else is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger import framing
from gridledger.errors import MalformedFrames
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.validation import SignatureCheck, verify_one_by_one
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.result import endorsement_text
from gridledger.protocol.transaction import Transaction
from services.peer.committer.known_signatures import (
    DIGEST_BYTES,
    MAX_NOTES_PER_FRAME,
    MAX_WAITING_BYTES,
    NOTES_DELAY_S,
    KnownSignatures,
    Notes,
    digest_of,
)
from services.peer.committer.process import hear
from tests.support.paper import PaperChain, PaperNetwork, signed_transaction, with_high_s
from tests.support.waiting import until

PAPER = PaperNetwork()


class Verifier:
    """Verifies, and counts what it was asked to."""

    def __init__(self) -> None:
        self.asked: list[SignatureCheck] = []

    def __call__(self, checks: Sequence[SignatureCheck]) -> list[bool]:
        self.asked += checks
        return verify_one_by_one(checks)


def endorsement(number: int, peer: str = "peer1") -> SignatureCheck:
    signer = PAPER.peers[peer]
    text = endorsement_text(signer.fingerprint, f"{number:064x}")
    return SignatureCheck(signer.certificate, signer.sign(text), text)


def note(*checks: SignatureCheck) -> bytes:
    return b"".join(map(digest_of, checks))


def known(*checks: SignatureCheck, max_kept: int = 100) -> KnownSignatures:
    memory = KnownSignatures(max_kept=max_kept)
    memory.add(note(*checks))
    return memory


def test_known_signatures_are_taken_and_the_others_verified() -> None:
    mine, mine_untold, other = endorsement(1), endorsement(2), endorsement(1, peer="peer2")
    verified = endorsement(3, peer="peer2")
    forged = SignatureCheck(other.certificate, mine.signature, other.data)
    verify = Verifier()
    outcomes = known(mine, verified).sparing(verify)([other, mine, forged, verified, mine_untold])
    assert outcomes == [True, True, False, True, True]
    assert verify.asked == [other, forged, mine_untold]


def test_no_two_signatures_run_together_alike() -> None:
    check = endorsement(1)
    moved = SignatureCheck(check.certificate, check.signature + check.data[:1], check.data[1:])
    assert digest_of(moved) != digest_of(check)
    assert not known(check).know(moved)


@pytest.mark.parametrize("part", ["signature", "text", "certificate"])
def test_a_signature_that_differs_in_anything_is_verified(part: str) -> None:
    mine, later = endorsement(1), endorsement(2)
    check = {
        "signature": SignatureCheck(mine.certificate, with_high_s(mine.signature), mine.data),
        "text": SignatureCheck(mine.certificate, mine.signature, later.data),
        "certificate": SignatureCheck(PAPER.peers["peer2"].certificate, mine.signature, mine.data),
    }[part]
    verify = Verifier()
    assert known(mine, later).sparing(verify)([check]) == [False]
    assert verify.asked == [check]


def test_what_is_kept_in_mind_is_bounded() -> None:
    checks = [endorsement(number) for number in range(40)]
    memory = known(max_kept=10)
    for check in checks:
        memory.add(note(check))
    remembered = [memory.know(check) for check in checks]
    assert remembered[-5:] == [True] * 5
    assert sum(remembered) <= 10


def test_rubbish_is_refused() -> None:
    with pytest.raises(MalformedFrames):
        known().add(bytes(DIGEST_BYTES + 4))
    with pytest.raises(MalformedFrames):
        known().add(bytes(DIGEST_BYTES * (MAX_NOTES_PER_FRAME + 1)))


def test_a_ledger_comes_out_the_same(tmp_path: Path) -> None:
    transactions = [PAPER.transaction({f"k{number}": number}) for number in range(1, 4)]
    told = [endorsement_in(transaction) for transaction in transactions[:2]]
    made = PAPER.transaction({"k": 1}, endorsers=["peer2"])
    # Peer 2 gives its endorsement out as peer 1's, which is not among those that peer 1 has made.
    stolen = replace(made.endorsements[0], endorser=PAPER.peers["peer1"].fingerprint)
    forged = signed_transaction(made.proposal, made.result, [stolen, *made.endorsements], PAPER.client)
    blocks = [PaperChain(PAPER).next(*transactions, forged)]
    ledgers = []
    for name, verify_many in (("plain", plain := Verifier()), ("sparing", known(*told).sparing(sparing := Verifier()))):
        with Ledger.create(tmp_path / name, PAPER.genesis, map_bytes=64 * 1024 * 1024) as ledger:
            committed = BlockCommitter(ledger, verify_many=verify_many).process(blocks)[0]
            ledgers.append((committed.codes, committed.commit_hash))
    assert ledgers[0] == ledgers[1]
    assert ledgers[0][0] == (*[TxValidationCode.VALID] * 3, TxValidationCode.ENDORSEMENT_POLICY_FAILURE)
    assert len(plain.asked) - len(sparing.asked) == 2


def endorsement_in(transaction: Transaction) -> SignatureCheck:
    """Peer 1's endorsement of a transaction."""
    peer1 = PAPER.peers["peer1"]
    (mine,) = (item for item in transaction.endorsements if item.endorser == peer1.fingerprint)
    return SignatureCheck(peer1.certificate, mine.signature, endorsement_text(mine.endorser, transaction.result.hash))


async def test_the_committer_hears_until_the_edge_closes() -> None:
    reader, memory = asyncio.StreamReader(), known()
    hearing = asyncio.ensure_future(hear(reader, memory))
    for number in (1, 2):
        reader.feed_data(framing.frame(note(endorsement(number))))
    await until(lambda: memory.know(endorsement(2)))
    assert memory.know(endorsement(1))
    assert not hearing.done()
    reader.feed_eof()
    await asyncio.wait_for(hearing, 10)


async def test_the_edge_tells_of_many_signatures_at_once() -> None:
    ours, theirs = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=ours)
    reader, other = await asyncio.open_connection(sock=theirs)
    checks = [endorsement(number) for number in range(4)]
    notes = Notes()
    for check in checks:
        notes.add(writer, check)
    frame = await asyncio.wait_for(framing.read_frame(reader), 10)
    assert frame == note(*checks)
    notes.add(writer, checks[0])
    assert await asyncio.wait_for(framing.read_frame(reader), 10) == note(checks[0])
    writer.close()
    other.close()


async def test_an_edge_keeps_nothing_for_a_committer_that_is_deaf() -> None:
    ours, theirs = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=ours)
    with theirs:
        writer.write(bytes(64 * 1024 * 1024))
        held = writer.transport.get_write_buffer_size()
        assert held > MAX_WAITING_BYTES
        check, notes = endorsement(1), Notes()
        notes.add(writer, check)
        told = asyncio.Event()
        asyncio.get_running_loop().call_later(2 * NOTES_DELAY_S, told.set)
        await told.wait()
        assert writer.transport.get_write_buffer_size() == held
        writer.transport.abort()
    notes.add(writer, check)  # to one that is gone, too
    told.clear()
    asyncio.get_running_loop().call_later(2 * NOTES_DELAY_S, told.set)
    await told.wait()
