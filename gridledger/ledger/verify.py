"""Verifies a whole ledger: validates every block again from block 0, and compares all that is stored about it.

That shows that nothing in the ledger's files was changed or lost: hashes, signatures, codes, commit hashes, the world
state with its versions, the index of transactions' ids, the history of keys, the index that searches use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gridledger.errors import GridLedgerError
from gridledger.ledger import codec
from gridledger.ledger.codec import Table
from gridledger.ledger.committer import MAX_BYTES_PER_COMMIT, check_continues, header_check
from gridledger.ledger.errors import BlockRejected
from gridledger.ledger.genesis import genesis_entries
from gridledger.ledger.index import is_of_certificate
from gridledger.ledger.index_writer import entries_of_judged
from gridledger.ledger.ledger import Ledger
from gridledger.ledger.replay import Replay
from gridledger.ledger.snapshot import Snapshot
from gridledger.ledger.validation import Judged, VerifyMany, verify_one_by_one
from gridledger.protocol.block import SignedBlock
from gridledger.protocol.config_update import is_config_block
from gridledger.protocol.result import Version

MAX_FAULTS = 100
_BLOCKS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not agree. ``block`` is None where it is not about one block."""

    block: int | None
    message: str


@dataclass(slots=True)
class VerifyReport:
    """What verifying a ledger found: how far it came, the commit hash it arrived at, and at most ``MAX_FAULTS`` faults.

    A fault after which verification cannot go on (a broken chain, an unreadable block) ends it.
    """

    channel: str
    blocks: int = 0
    transactions: int = 0
    keys: int = 0
    commit_hash: str = ""
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not self.faults

    def add(self, block: int | None, message: str) -> None:
        """Note a fault."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(block, message))

    def __str__(self) -> str:
        lines = [
            (
                f"channel {self.channel}: {self.blocks} blocks, {self.transactions} transactions, {self.keys} keys, "
                f"commit hash {self.commit_hash}: {'all agrees' if self.ok else f'{len(self.faults)} faults'}"
            )
        ]
        lines += [
            f"  {'ledger' if item.block is None else f'block {item.block}'}: {item.message}" for item in self.faults
        ]
        return "\n".join(lines)


def verify(
    ledger: Ledger, *, verify_many: VerifyMany = verify_one_by_one, progress: Callable[[int, int], None] | None = None
) -> VerifyReport:
    """Verify all blocks up to the present height. The ledger may go on growing meanwhile.

    ``progress`` is told (blocks done, height) after each step. Takes about as long as committing the chain did.
    """
    report = VerifyReport(ledger.channel)
    try:
        _verify(ledger, report, verify_many, progress or _silent)
    except GridLedgerError as error:
        report.add(report.blocks, f"cannot be verified: {error.message}")
    return report


class _IndexCheck:
    """Compares the index that searches use, as far as it goes, with what follows from the blocks."""

    def __init__(self) -> None:
        self._count = 0
        self._whole = True
        self._certificates: set[bytes] = set()

    def take(self, snapshot: Snapshot, number: int, entries: dict[bytes, bytes], report: VerifyReport) -> None:
        """Compare one block's entries."""
        if number >= snapshot.index_head.height:
            self._whole = False
            return
        for key, value in entries.items():
            if snapshot.entry(Table.INDEX, key) != value:
                report.add(number, f"the index entry {key.hex()} of the block is wrong or missing")
            if is_of_certificate(key):
                self._certificates.add(key)
            else:
                self._count += 1

    def finish(self, snapshot: Snapshot, report: VerifyReport) -> None:
        """Compare the count, where the index has all blocks and had each of them when it was compared."""
        expected, found = self._count + len(self._certificates), snapshot.count(Table.INDEX)
        if self._whole and found != expected:
            report.add(None, f"the table index has {found} entries, {expected} follow from the blocks")


def _silent(done: int, height: int) -> None:
    del done, height


def _verify(
    ledger: Ledger, report: VerifyReport, verify_many: VerifyMany, progress: Callable[[int, int], None]
) -> None:
    replay: Replay | None = None
    index = _IndexCheck()
    while True:
        with ledger.snapshot() as snapshot:
            if replay is None:
                replay = _begin(snapshot, report)
                index.take(snapshot, 0, genesis_entries(snapshot.block(0)), report)
            elif replay.height < snapshot.height and not _step(snapshot, replay, index, report, verify_many):
                return
            report.blocks, report.commit_hash = replay.height, replay.commit_hash
            progress(replay.height, snapshot.height)
            if replay.height == snapshot.height:
                _compare_whole(snapshot, replay, report)
                index.finish(snapshot, report)
                return


def _begin(snapshot: Snapshot, report: VerifyReport) -> Replay:
    genesis = snapshot.block(0)
    replay = Replay(genesis)
    report.transactions = 1
    if snapshot.metadata(0).commit_hash != replay.commit_hash:
        report.add(0, "its commit hash is not that of this block 0")
    return replay


def _step(
    snapshot: Snapshot, replay: Replay, index: _IndexCheck, report: VerifyReport, verify_many: VerifyMany
) -> bool:
    """Validate the next few blocks; False where verification cannot go on."""
    taken: list[SignedBlock] = []
    previous = (replay.height - 1, replay.tip.hash, replay.tip.timestamp_us)
    size = 0
    for number in range(replay.height, min(snapshot.height, replay.height + _BLOCKS_AT_ONCE)):
        signature = snapshot.metadata(number).signature
        block = snapshot.block(number)
        if signature is None:
            report.add(number, "there is no orderer's signature under its header")
            return False
        size += sum(map(len, block.envelopes))
        if taken and (is_config_block(block) or size > MAX_BYTES_PER_COMMIT):
            break
        check_continues(block, report.channel, previous)
        taken.append(SignedBlock(block, signature))
        previous = (number, block.header.hash, block.header.timestamp_us)
        if is_config_block(block):
            break
    _check_signatures(taken, replay, report, verify_many)
    validated, hashes = replay.extend([item.block for item in taken], verify_many)
    for judged, hash_after in zip(validated, hashes, strict=True):
        _compare_block(snapshot, judged, hash_after, report)
        index.take(snapshot, judged.block.header.number, entries_of_judged(judged), report)
    return True


def _check_signatures(taken: list[SignedBlock], replay: Replay, report: VerifyReport, verify_many: VerifyMany) -> None:
    checks, numbers = [], []
    for item in taken:
        try:
            checks.append(header_check(item, replay.config))
        except BlockRejected as error:
            report.add(item.block.header.number, error.message)
        else:
            numbers.append(item.block.header.number)
    for number, genuine in zip(numbers, verify_many(checks), strict=True):
        if not genuine:
            report.add(number, "the orderer's signature under its header is not genuine")


def _compare_block(snapshot: Snapshot, judged: Judged, hash_after: str, report: VerifyReport) -> None:
    number = judged.block.header.number
    metadata = snapshot.metadata(number)
    for index, (kept, found) in enumerate(zip(metadata.codes, judged.codes, strict=False)):
        if kept is not found:
            report.add(number, f"transaction {index} is kept as {kept.name}, and is {found.name}")
    if len(metadata.codes) != len(judged.codes):
        report.add(number, f"{len(metadata.codes)} codes are kept for {len(judged.codes)} transactions")
    if metadata.commit_hash != hash_after:
        report.add(number, f"its commit hash is kept as {metadata.commit_hash}, and is {hash_after}")
    for (namespace, key), value, index in judged.writes:
        if not snapshot.has_history(namespace, key, Version(number, index), deleted=value is None):
            report.add(number, f"the history of {key!r} in {namespace!r} lacks transaction {index}")
    report.transactions += len(judged.codes)


def _compare_whole(snapshot: Snapshot, replay: Replay, report: VerifyReport) -> None:
    head = snapshot.head
    if (head.header_hash, head.commit_hash) != (replay.tip.hash, replay.commit_hash):
        report.add(None, "the head names other hashes than the newest block's")
    if head.transactions != report.transactions:
        report.add(None, f"the head counts {head.transactions} transactions, the blocks {report.transactions}")
    with_entries = 0
    for (namespace, key), change in replay.state.items():
        kept = snapshot.get(namespace, key)
        if kept is None:
            report.add(None, f"the key {key!r} in {namespace!r} is missing from the world state")
        elif (kept.value, kept.version) != (change.value, change.version):
            report.add(None, f"the key {key!r} in {namespace!r} has another value or version in the world state")
        with_entries += kept is not None
    report.keys = len(replay.state)
    for table, expected in (
        (Table.STATE, with_entries),
        (Table.TRANSACTIONS, len(replay.index())),
        (Table.HISTORY, replay.written),
    ):
        found = snapshot.count(table)
        if found != expected:
            report.add(None, f"the table {table.value} has {found} entries, {expected} follow from the blocks")
    for key_bytes, place in replay.index().items():
        kept_entry = snapshot.entry(Table.TRANSACTIONS, key_bytes)
        if kept_entry != codec.pack_transaction(*place):
            report.add(None, f"the index entry of transaction {key_bytes.hex()} is wrong")
