"""What must hold of every run of the simulated world, whatever fails; checked at every block and at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from gridledger.protocol.block import BlockHeader
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.events import CommittedBlock
from services.orderer.block_store import BlockStore
from tests.simulation.raft_oracle import Violated, require

__all__ = ["Violated", "WorldOracle", "require"]

_COPIES = frozenset((Code.DUPLICATE_TXID, Code.INVALID_CONFIG_TRANSACTION))
"""What a second copy of a transaction is; of a config update it is one that does not follow any more."""


@dataclass
class WorldOracle:
    """The one chain that all must share, and what clients were told.

    ``refused`` are transactions that a client was told will not be on the chain.
    """

    hashes: list[str] = field(default_factory=list)
    commit_hashes: dict[int, str] = field(default_factory=dict)
    transactions: dict[int, tuple[tuple[str, ...], tuple[Code, ...]]] = field(default_factory=dict)
    acknowledged: dict[str, None] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    told: dict[str, Code] = field(default_factory=dict)
    leaders: dict[int, str] = field(default_factory=dict)
    _found: set[str] = field(default_factory=set)

    @property
    def leader_changes(self) -> int:
        """How often another orderer, or the same one in another term, began to lead."""
        return max(0, len(self.leaders) - 1)

    def saw_block(self, orderer: str, header: BlockHeader) -> None:
        """An orderer has a block: it is the next one, or the one that all have."""
        number = header.number
        require(number <= len(self.hashes), f"{orderer} has block {number}, nobody has {len(self.hashes)}")
        if number == len(self.hashes):
            self.hashes.append(header.hash)
        require(self.hashes[number] == header.hash, f"fork: {orderer} has another block {number}")

    def saw_leader(self, orderer: str, term: int) -> None:
        """An orderer leads a term: nobody else does."""
        leader = self.leaders.setdefault(term, orderer)
        require(leader == orderer, f"two leaders of term {term}: {leader} and {orderer}")

    def saw_store(self, orderer: str, store: BlockStore) -> None:
        """All blocks that an orderer has, without a gap."""
        before = ""
        for number in range(store.height):
            block = store.block(number)
            require(block.header.number == number, f"{orderer} has block {block.header.number} in place of {number}")
            require(not number or block.header.previous_hash == before, f"{orderer}: block {number} does not follow")
            require(block.data_hash_holds(), f"{orderer}: block {number} is not what its header says")
            before = block.header.hash
            self.saw_block(orderer, block.header)

    def saw_commit(self, peer: str, block: CommittedBlock, height: int) -> None:
        """A peer tells that it has committed the block at ``height``."""
        number = block.number
        require(number == height, f"{peer} committed block {number} at height {height}")
        require(number < len(self.hashes), f"{peer} committed block {number}, which no orderer has")
        require(self.hashes[number] == block.hash, f"fork: {peer} committed another block {number}")
        known = self.commit_hashes.setdefault(number, block.commit_hash)
        require(known == block.commit_hash, f"{peer} has another commit hash after block {number}")
        self._found.update(block.tx_ids)
        codes = self.transactions.setdefault(number, (block.tx_ids, block.codes))
        require(codes == (block.tx_ids, block.codes), f"{peer} judged block {number} in another way")

    @property
    def all_found(self) -> bool:
        """Whether every acknowledged transaction is on a peer's chain by now."""
        return self.acknowledged.keys() <= self._found

    def require_once(self) -> None:
        """Every acknowledged transaction is on the chain once, none is that was said not to be."""
        found: dict[str, list[Code]] = {}
        for number in sorted(self.transactions):
            for tx_id, code in zip(*self.transactions[number], strict=True):
                found.setdefault(tx_id, []).append(code)
        for tx_id in self.acknowledged:
            codes = found.get(tx_id, [])
            require(bool(codes), f"the acknowledged transaction {tx_id[:12]} is lost")
        for tx_id, codes in found.items():
            first, *others = codes
            require(
                first is not Code.DUPLICATE_TXID and _COPIES.issuperset(others),
                f"the transaction {tx_id[:12]} counts {[code.name for code in codes]}",
            )
            told = self.told.get(tx_id, first)
            require(told is first, f"{tx_id[:12]} was told as {told.name}, and is {first.name}")
            require(tx_id not in self.refused, f"{tx_id[:12]} is on the chain; told was {self.refused.get(tx_id)}")
