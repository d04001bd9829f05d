"""Whatever is ordered, an orderer's chain and a peer's committer go on, and both hold the same configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError, UnavailableError
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.protocol.block import SignedBlock
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.errors import CapabilityUnknown
from gridledger.protocol.events import CommittedBlock
from gridledger.protocol.fields import hash_of, to_base64
from gridledger.protocol.result import Endorsement, endorsement_text
from gridledger.protocol.transaction import endorsements_text, signing_text
from services.orderer.block_store import BlockStore
from services.orderer.catching_up import Fetched
from services.orderer.chain import Chain, entry_of, read_entry
from services.orderer.raft.interface import CommittedEntry, Membership, Snapshot
from services.orderer.submission import check_submission
from services.peer.committer.messages import BlockCommitted, read_report
from services.peer.queries import block_json, transaction_json
from tests.support.forgery import of_version_2
from tests.support.fuzzing import damaged, odd, tries, trying, written
from tests.support.paper import NOW_US, PaperNetwork

DAY_US = 86_400_000_000
PAPER = PaperNetwork()
SOUND = PAPER.transaction({"a": 1})
UPDATE = PAPER.update()
ORG = PAPER.organisations["Org1MSP"]
CERTIFICATE = PAPER.client.certificate


class World:
    """One orderer's chain, and a peer's ledger that follows it record by record."""

    def __init__(self, folder: Path, fetched: list[bytes]) -> None:
        async def fetch(
            channel: str, first: int, height: int, avoid: Collection[str] = (), *, only_once: bool = False
        ) -> Fetched:
            if avoid:
                raise UnavailableError("nobody else is there")
            return Fetched("orderer2", fetched)

        async def at_once(work: Callable[..., Any], *args: Any) -> Any:
            return work(*args)

        self.fetched = fetched
        store, signer = BlockStore.open(folder / "o1"), PAPER.orderers["orderer1"]
        self.chain = Chain.open(store, PAPER.genesis, signer, fetch, at_once)
        self.ledger = Ledger.create(folder / "p1", PAPER.genesis, map_bytes=256 * 1024 * 1024)
        self.committer = BlockCommitter(self.ledger)
        self.entries = 0

    def close(self) -> None:
        self.ledger.close()
        self.chain.store.close()

    def order(self, *envelopes: bytes) -> list[Code]:
        """Order a batch, and commit its block: the codes."""
        self.apply(entry_of(NOW_US, envelopes))
        return list(self.commit_newest().codes)

    def apply(self, entry: bytes) -> None:
        """What consensus does with an entry that it has committed, whatever it holds."""
        self.entries += 1
        run(self.chain.apply([CommittedEntry(self.entries, 1, entry)]))

    def commit_newest(self) -> CommittedBlock:
        (record,) = self.chain.store.frames(self.chain.height - 1, max_bytes=1)
        (done,) = self.committer.process([SignedBlock.from_bytes(record)])
        assert self.ledger.config().sequence == self.chain.config.sequence
        return done


class Worlds:
    """A world, and a new one once its configuration was changed: an update follows the first configuration."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: list[World] = []

    def get(self) -> World:
        if not self._opened or self._opened[-1].chain.config.sequence:
            self._opened.append(World(self._folder / str(len(self._opened)), []))
        return self._opened[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for world in self._opened:
            world.close()


def run(working: Coroutine[Any, Any, None]) -> None:
    """Run what does not wait."""
    try:
        working.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def brought_by(certificate: bytes) -> bytes:
    """A transaction that is sound, but for its creator's certificate."""
    return PAPER.transaction({"a": 1}, proposal=PAPER.proposal(creator=to_base64(certificate))).to_bytes()


def update_to(config: str) -> bytes:
    """A config update to this text, truly signed by all admins."""
    made = ConfigUpdate.build(_Text(config), PAPER.all_admins, time_us=NOW_US)  # type: ignore[arg-type]
    return made.to_bytes()


@dataclass
class _Text:
    """A configuration's text that no configuration writes."""

    text: str
    channel: str = "shard1"
    sequence: int = 1


def config_with(**organisation: list[str]) -> str:
    """The next configuration's text with these members of one organisation."""
    config = json.loads(UPDATE.config.text)
    config["organisations"]["Org1MSP"] |= organisation
    return written(config)


def pem(kind: str, der: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{to_base64(der)}\n-----END {kind}-----\n"


PARTS: dict[str, Any] = {
    "reads": [["nowhere", None]],
    "ranges": [{"start": "n", "end": "o", "reads": []}],
    "writes": [["a", {"b": [1, 2.5, None, "text"]}], ["c"], ["d", [[1]]]],
    "response": {"status": 200, "message": "", "payload": {"x": 1}},
    "event": {"name": "e", "payload": [1, {"y": None}]},
}


def truly_endorsed(parts: str) -> bytes:
    """A transaction whose result has these members, under true signatures of all peers and of its client."""
    proposal = PAPER.proposal()
    members = json.loads(parts)
    about = {"kind": "result", "tx_id": proposal.tx_id, "channel": "shard1", "chaincode": "kv", "sequence": 1}
    text = written({**about, **members} if isinstance(members, dict) else members)
    endorsements = []
    for signer in PAPER.peers.values():
        signature = signer.sign(endorsement_text(signer.fingerprint, hash_of(text)))
        endorsements.append(Endorsement(signer.fingerprint, signature))
    endorsed = endorsements_text(endorsements)
    signature = PAPER.client.sign(signing_text(proposal.tx_id, hash_of(text), hash_of(endorsed)))
    envelope = {"proposal": proposal.text, "result": text, "endorsements": endorsed}
    return written({**envelope, "signature": to_base64(signature)}).encode()


CONTENT = CERTIFICATE.x509.tbs_certificate_bytes
ENVELOPES = st.one_of(
    damaged(SOUND.to_bytes()),
    damaged(UPDATE.to_bytes()),
    st.builds(brought_by, damaged(CERTIFICATE.der).filter(lambda der: 0 < len(der) < 6000)),
    st.builds(lambda content: brought_by(ORG.seal(content)), damaged(CONTENT)),
    st.builds(update_to, odd(json.loads(UPDATE.config.text))),
    st.builds(
        lambda content: update_to(config_with(roots=[ORG.root, pem("CERTIFICATE", content)])), damaged(CERTIFICATE.der)
    ),
    st.binary(max_size=40),
)


@tries(100)
def test_no_envelope_ends_a_chain_or_a_committer(tmp_path: Path, count: int) -> None:
    with Worlds(tmp_path) as worlds:

        @trying(count)
        @given(st.lists(ENVELOPES, min_size=1, max_size=4))
        def holds(envelopes: list[bytes]) -> None:
            world = worlds.get()
            for envelope in envelopes:
                with suppress(GridLedgerError):
                    check_submission(envelope, world.chain.config, NOW_US)
            try:
                assert len(world.order(*envelopes)) == len(envelopes)
            except CapabilityUnknown:
                # What all admins have agreed on and this version does not know is the one thing that stops a channel.
                assert len(envelopes) == 1

        holds()
        assert worlds.get().order(PAPER.transaction({"b": 1}).to_bytes()) == [Code.VALID]


@tries(100)
def test_no_result_that_all_peers_endorse_ends_a_peer(tmp_path: Path, count: int) -> None:
    """Where all endorsers lie: what is valid is stored, told to the edge and shown, whatever it holds."""
    seen: set[Code] = set()
    with Worlds(tmp_path) as worlds:

        @trying(count)
        @given(st.lists(odd(PARTS), min_size=1, max_size=3))
        def holds(parts: list[str]) -> None:
            world = worlds.get()
            world.apply(entry_of(NOW_US, [truly_endorsed(each) for each in parts]))
            done = world.commit_newest()
            seen.update(done.codes)
            report = read_report(BlockCommitted(done).to_bytes())
            assert isinstance(report, BlockCommitted)
            assert report.block == done
            jsontext.loads_trusted(block_json(world.ledger, done.number))
            for tx_id in filter(None, done.tx_ids):
                transaction_json(world.ledger, tx_id)

        holds()
    assert {Code.VALID, Code.BAD_PAYLOAD} <= seen


@tries(100)
def test_no_entry_of_consensus_ends_a_chain(tmp_path: Path, count: int) -> None:
    sound = entry_of(NOW_US, [SOUND.to_bytes(), b"other"])
    with Worlds(tmp_path) as worlds:

        @trying(count)
        @given(st.one_of(damaged(sound), damaged(sound[:40]), st.binary(max_size=20)))
        def holds(entry: bytes) -> None:
            with suppress(InputError):
                # Of a time that is far off no peer takes a block; consensus bounds it.
                assume(read_entry(entry)[0] < NOW_US + DAY_US)
            world = worlds.get()
            height = world.chain.height
            world.apply(entry)
            if world.chain.height > height:
                world.commit_newest()

        holds()
        assert worlds.get().order(PAPER.transaction({"c": 1}).to_bytes()) == [Code.VALID]


@tries(100)
def test_a_damaged_record_is_refused_by_peer_and_orderer(tmp_path: Path, count: int) -> None:
    with Worlds(tmp_path) as worlds:
        world = worlds.get()
        world.apply(entry_of(NOW_US, [SOUND.to_bytes(), UPDATE.to_bytes()]))
        (record,) = world.chain.store.frames(1, max_bytes=1)
        snapshot = Snapshot(1, 1, Membership(frozenset(PAPER.orderers)), b'{"height":2,"hash":"0"}')
        behind = World(tmp_path / "behind", [])

        @trying(count)
        @given(damaged(record))
        def holds(changed: bytes) -> None:
            assume(changed != record)
            with pytest.raises(GridLedgerError):
                world.committer.process([SignedBlock.from_bytes(changed)])
            behind.fetched[:] = [changed]
            with pytest.raises(UnavailableError, match="nobody else"):
                run(behind.chain.install_snapshot(snapshot))

        holds()
        assert behind.chain.height == 1
        behind.close()
        world.commit_newest()


def test_an_unreadable_certificate_is_a_bad_payload(tmp_path: Path) -> None:
    with Worlds(tmp_path) as worlds:
        old = of_version_2(CERTIFICATE.der)
        codes = worlds.get().order(brought_by(old), SOUND.to_bytes(), brought_by(b"none"))
        assert codes == [Code.BAD_PAYLOAD, Code.VALID, Code.BAD_PAYLOAD]
        bad_root = update_to(config_with(roots=[ORG.root, pem("CERTIFICATE", old)]))
        bad_list = update_to(config_with(crls=[pem("X509 CRL", CERTIFICATE.der)]))
        for update in (bad_root, bad_list):
            assert worlds.get().order(update) == [Code.INVALID_CONFIG_TRANSACTION]
