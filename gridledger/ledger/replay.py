"""Rebuilds a ledger's state in memory from its blocks alone."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence

from gridledger.ledger.genesis import check_genesis, genesis_commit_hash
from gridledger.ledger.validation import Judged, VerifyMany, validate
from gridledger.ledger.world import Change
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.commit_hash import commit_hash
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.result import Version


class Replay:
    """Validates all blocks again, from block 0 on, on a state held in memory.

    Memory: the world state, and about 200 bytes for each transaction.
    """

    def __init__(self, genesis: Block) -> None:
        """Raises :class:`BlockRejected` for what is no block 0."""
        update = check_genesis(genesis)
        self.height = 1
        self.tip = genesis.header
        self.config: ChannelConfig = update.config
        self.commit_hash = genesis_commit_hash(genesis)
        self.state: dict[tuple[str, str], Change] = {}
        self.written = 0
        self._keys: dict[str, list[tuple[bytes, str]]] = {}
        self._transactions: dict[bytes, tuple[int, int, TxValidationCode]] = {
            bytes.fromhex(update.tx_id): (0, 0, TxValidationCode.VALID)
        }

    def extend(self, blocks: Sequence[Block], verify_many: VerifyMany) -> tuple[list[Judged], list[str]]:
        """Validate the next blocks (a config block alone); the validated blocks and the commit hash after each."""
        validated = validate(blocks, config=self.config, reads=self, verify_many=verify_many)
        hashes = []
        for judged in validated:
            self._take(judged)
            hashes.append(self.commit_hash)
        return validated, hashes

    def _take(self, judged: Judged) -> None:
        header = judged.block.header
        updates = {place: value for place, value, _ in judged.writes}
        self.commit_hash = commit_hash(self.commit_hash, header.number, header.hash, judged.codes, updates)
        for place, value, index in judged.writes:
            self._write(place, Change(value, Version(header.number, index)))
        for index, (tx_id, code, indexed) in enumerate(zip(judged.tx_ids, judged.codes, judged.indexed, strict=True)):
            if indexed:
                self._transactions[bytes.fromhex(tx_id)] = (header.number, index, code)
        if judged.config is not None:
            self.config = judged.config
        self.tip, self.height = header, header.number + 1

    def _write(self, place: tuple[str, str], change: Change) -> None:
        self.written += 1
        namespace, key = place
        keys, item = self._keys.setdefault(namespace, []), (key.encode(), key)
        if change.value is not None:
            if place not in self.state:
                insort(keys, item)
            self.state[place] = change
        elif self.state.pop(place, None) is not None:
            del keys[bisect_left(keys, item)]

    def version(self, namespace: str, key: str) -> Version | None:
        """As :meth:`gridledger.ledger.world.Reads.version`."""
        change = self.state.get((namespace, key))
        return None if change is None else change.version

    def range(self, namespace: str, start: str = "", end: str = "") -> Iterator[tuple[str, bytes, Version]]:
        """As :meth:`gridledger.ledger.world.Reads.range`."""
        keys = self._keys.get(namespace, [])
        first = bisect_left(keys, (start.encode(), ""))
        last = bisect_left(keys, (end.encode(), "")) if end else len(keys)
        for _, key in keys[first:last]:
            change = self.state[(namespace, key)]
            yield key, change.value or b"", change.version

    def find(self, tx_id: str) -> tuple[int, int, TxValidationCode] | None:
        """As :meth:`gridledger.ledger.world.Reads.find`."""
        return self._transactions.get(bytes.fromhex(tx_id))

    def index(self) -> Mapping[bytes, tuple[int, int, TxValidationCode]]:
        """The index of transaction ids: block, index and code of each."""
        return self._transactions
