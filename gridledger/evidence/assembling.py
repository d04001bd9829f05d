"""Puts a package together from blocks: what else its transactions rest on, and the paths and proofs.

Whoever collects reads the blocks of the evidence, asks :func:`needs_of` what is missing, reads that, and asks again
until nothing is; then :func:`assemble` makes the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gridledger.errors import GridLedgerError
from gridledger.evidence.anchor import HeaderTree
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.package import AnchorPart, BlockPart, ChannelPart, Package, Path, Place, Roles
from gridledger.evidence.said import FUNCTIONS
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.transaction import Transaction

Blocks = Mapping[str, Mapping[int, BlockPart]]
"""By channel and number."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """A head that is final on the anchoring channel, and where its attestations are: (block, index)."""

    size: int
    attests: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Needs:
    """What is missing: blocks as (channel, number), and transactions as (channel, id) whose blocks are to be found.

    ``devices``: of which the registry is to be asked whether it has revoked or retired them.
    """

    blocks: set[tuple[str, int]] = field(default_factory=set)
    transactions: set[tuple[str, str]] = field(default_factory=set)
    devices: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.blocks or self.transactions or self.devices)


def endings_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the transactions that retired and revoked a device; ``record`` is the registry's GetDevice."""
    return tuple(ended["tx"] for ended in (record.get("retired"), record.get("revoked")) if ended is not None)


def needs_of(
    roles: Roles,
    evidence: Sequence[Place],
    anchors: Mapping[str, Sequence[Anchored]],
    blocks: Blocks,
    endings: Mapping[str, Sequence[str]],
) -> Needs:
    """What these transactions and anchors rest on and ``blocks`` do not have yet.

    ``endings``: by device what :func:`endings_of` tells, of those that were asked about by now. A section's word when a
    device was revoked proves nothing, so the registry's own transactions go into the package.

    Besides it a package has of each channel block 0 and every block with a configuration before the last block or
    anchor: these the collector adds by itself.
    """
    needs = Needs()
    registered = set(_ids(blocks.get(roles.devices[0], {}))) if roles.devices is not None else set()
    places = [(place.channel, place.block, place.index) for place in evidence]
    anchoring = roles.anchoring[0]
    attests = [
        (anchoring, block, index) for items in anchors.values() for item in items for block, index in item.attests
    ]
    for channel, number, index in (*places, *attests):
        transaction = _transaction(channel, number, index, blocks, needs)
        if transaction is not None:
            _add_read(channel, transaction, roles, blocks, needs)
    if roles.devices is not None:
        needs.transactions |= {(roles.devices[0], tx) for name in needs.devices for tx in endings.get(name, ())}
    needs.devices -= endings.keys()
    needs.transactions -= {(channel, tx) for channel, tx in needs.transactions if tx in registered}
    return needs


def _add_read(channel: str, transaction: Transaction, roles: Roles, blocks: Blocks, needs: Needs) -> None:
    """What a transaction read of a device or of a channel's members, and what that names."""
    proposal = transaction.proposal
    is_attest = (channel, proposal.chaincode) == roles.anchoring and proposal.function == "Attest"
    is_event = roles.sections.get(channel) == proposal.chaincode and proposal.function in FUNCTIONS
    prefix = "members/" if is_attest else "device/" if is_event else None
    for read in transaction.result.reads:
        if prefix is None or read.version is None or not read.key.startswith(prefix):
            continue
        writer = _transaction(channel, *read.version, blocks, needs)
        if writer is None or not is_event or roles.devices is None:
            continue
        record = next((value for key, value in writer.result.writes if key == read.key), None)
        needs.devices.add(read.key.removeprefix(prefix))
        tx = record.get("tx") if isinstance(record, dict) else None
        if isinstance(tx, str):
            needs.transactions.add((roles.devices[0], tx))


def _transaction(channel: str, number: int, index: int, blocks: Blocks, needs: Needs) -> Transaction | None:
    part = blocks.get(channel, {}).get(number)
    if part is None:
        needs.blocks.add((channel, number))
        return None
    if index >= len(part.block.envelopes):
        raise EvidenceError("evidence", f"block {number} of {channel} has no transaction {index}")
    message = parse_envelope(part.block.envelopes[index])
    return message if isinstance(message, Transaction) else None


def _ids(blocks: Mapping[int, BlockPart]) -> Iterator[str]:
    for part in blocks.values():
        for envelope in part.block.envelopes:
            try:
                yield parse_envelope(envelope).tx_id
            except GridLedgerError:
                continue


def assemble(
    package: Package, blocks: Blocks, anchors: Mapping[str, Sequence[Anchored]], trees: Mapping[str, HeaderTree]
) -> Package:
    """``package`` with its channels: the blocks with their paths, the anchors with their proofs.

    ``trees``: of each channel that is anchored, at least as large as its last anchor.
    """
    channels = {}
    for channel, parts in blocks.items():
        tree, heads = trees.get(channel), sorted(anchors.get(channel, ()), key=lambda item: item.size)
        sizes = [item.size for item in heads]
        if heads and tree is None:
            raise EvidenceError("trees", f"the tree of {channel} is missing")
        channels[channel] = ChannelPart(
            {number: _with_path(parts[number], sizes, tree) for number in sorted(parts)},
            tuple(_anchors(heads, tree)) if tree is not None else (),
        )
    return replace(package, channels=channels)


def _with_path(part: BlockPart, sizes: Iterable[int], tree: HeaderTree | None) -> BlockPart:
    size = next((item for item in sizes if item > part.number), None)
    path = None if size is None or tree is None else Path(size, tuple(tree.inclusion(part.number, size)))
    return replace(part, path=path)


def _anchors(heads: Sequence[Anchored], tree: HeaderTree) -> Iterator[AnchorPart]:
    before = 0
    for item in heads:
        proof = tuple(tree.consistency(before, item.size))
        yield AnchorPart(item.size, tree.root(item.size).hex(), item.attests, proof)
        before = item.size
