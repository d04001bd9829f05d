"""Puts a package together from blocks: what else its transactions rest on, and the paths and proofs.

Whoever collects reads the blocks of the evidence, asks :class:`Rest` what is missing, reads that, and asks again until
nothing is; then :func:`assemble` makes the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gridledger.errors import GridLedgerError
from gridledger.evidence.anchor import HeaderTree
from gridledger.evidence.attested import ATTESTING, round_of, statements_of
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.package import AnchorPart, BlockPart, ChannelPart, Package, Path, Place, Roles
from gridledger.evidence.told import FUNCTIONS
from gridledger.protocol.config_update import envelope_id, parse_envelope
from gridledger.protocol.transaction import Transaction

_DEVICE: Final = "device/"
_MEMBERS: Final = "members/"

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


@dataclass(frozen=True, slots=True)
class _Said:
    """What a transaction read and wrote of devices and of channels' members.

    ``reads``: key, block and index of each read that the proof rests on; ``registered``: by the key of a device's
    record that it wrote, the id of the registration that the record names.
    """

    reads: tuple[tuple[str, int, int], ...]
    registered: Mapping[str, str]


class Rest:
    """What these transactions rest on, while blocks come to hand. Each is read once, however often it is asked for."""

    def __init__(self, roles: Roles, evidence: Sequence[Place]) -> None:
        self._roles = roles
        self._evidence = evidence
        self._said: dict[Place, _Said] = {}
        self._judged: dict[tuple[str, Place], Sequence[tuple[int, int]]] = {}
        self._ids: dict[int, frozenset[str]] = {}

    def needs(
        self, anchors: Mapping[str, Sequence[Anchored]], blocks: Blocks, endings: Mapping[str, Sequence[str]]
    ) -> Needs:
        """What the transactions and these anchors rest on and ``blocks`` do not have yet.

        ``endings``: by device what :func:`endings_of` tells, of those that were asked about by now. A section's word
        when a device was revoked proves nothing, so the registry's own transactions go into the package.

        Besides it a package has of each channel block 0 and every block with a configuration before the last block or
        anchor: these the collector adds by itself.
        """
        needs = Needs()
        anchoring, devices = self._roles.anchoring[0], self._roles.devices
        for place in self._evidence:
            said = self._read(place, blocks, needs)
            for key, block, index in () if said is None else said.reads:
                writer = self._read(Place(place.channel, block, index), blocks, needs)
                if writer is None or devices is None or not key.startswith(_DEVICE):
                    continue
                needs.devices.add(key.removeprefix(_DEVICE))
                if key in writer.registered:
                    needs.transactions.add((devices[0], writer.registered[key]))
        for channel, items in anchors.items():
            for attest in [Place(anchoring, *place) for item in items for place in item.attests]:
                for block, index in self._judged_by(channel, attest, blocks, needs):
                    self._read(Place(anchoring, block, index), blocks, needs)
        if devices is not None:
            needs.transactions |= {(devices[0], tx) for name in needs.devices for tx in endings.get(name, ())}
            held = self._ids_in(blocks.get(devices[0], {}))
            needs.transactions = {(channel, tx) for channel, tx in needs.transactions if tx not in held}
        needs.devices -= endings.keys()
        return needs

    def _judged_by(self, channel: str, place: Place, blocks: Blocks, needs: Needs) -> Sequence[tuple[int, int]]:
        """Where the records stand by which attestations of a channel were judged: its members, agents that signed."""
        if (channel, place) not in self._judged:
            if self._read(place, blocks, needs) is None:
                return ()
            message = parse_envelope(blocks[place.channel][place.block].block.envelopes[place.index])
            if not isinstance(message, Transaction):
                return ()
            cosigned = round_of(message, channel) or {}
            keys = {_MEMBERS + channel, *(f"agent/{mspid}" for mspid, _, _ in statements_of(cosigned))}
            reads = message.result.reads
            found = tuple(read.version for read in reads if read.version is not None and read.key in keys)
            self._judged[channel, place] = found
        return self._judged[channel, place]

    def _read(self, place: Place, blocks: Blocks, needs: Needs) -> _Said | None:
        """What the transaction at a place says; None, and the block is needed, where it is not at hand."""
        if place not in self._said:
            part = blocks.get(place.channel, {}).get(place.block)
            if part is None:
                needs.blocks.add((place.channel, place.block))
                return None
            if place.index >= len(part.block.envelopes):
                told = f"block {place.block} of {place.channel} has no transaction {place.index}"
                raise EvidenceError("evidence", told)
            self._said[place] = self._said_in(place.channel, part.block.envelopes[place.index])
        return self._said[place]

    def _said_in(self, channel: str, envelope: bytes) -> _Said:
        message = parse_envelope(envelope)
        if not isinstance(message, Transaction):
            return _Said((), {})
        proposal, result = message.proposal, message.result
        is_attest = (channel, proposal.chaincode) == self._roles.anchoring and proposal.function in ATTESTING
        is_event = self._roles.sections.get(channel) == proposal.chaincode and proposal.function in FUNCTIONS
        prefix = _MEMBERS if is_attest else _DEVICE if is_event else None
        reads = [
            (read.key, *read.version)
            for read in result.reads
            if prefix is not None and read.version is not None and read.key.startswith(prefix)
        ]
        registered = {
            key: value["tx"]
            for key, value in result.writes
            if key.startswith(_DEVICE) and isinstance(value, dict) and isinstance(value.get("tx"), str)
        }
        return _Said(tuple(reads), registered)

    def _ids_in(self, parts: Mapping[int, BlockPart]) -> set[str]:
        for number in parts.keys() - self._ids.keys():
            self._ids[number] = frozenset(_ids(parts[number]))
        return {tx for ids in self._ids.values() for tx in ids}


def _ids(part: BlockPart) -> Iterator[str]:
    for envelope in part.block.envelopes:
        try:
            yield envelope_id(envelope)
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


def disclosed_of(package: Package) -> list[dict[str, Any]]:
    """What a package discloses besides its evidence, as RecordFinding takes it: [{channel, transactions: [id]}]. An
    envelope that nobody can read has no id."""
    found: dict[str, dict[str, None]] = {}
    for place in package.disclosed():
        envelope = package.channels[place.channel].blocks[place.block].block.envelopes[place.index]
        try:
            tx_id = envelope_id(envelope)
        except GridLedgerError:
            continue
        found.setdefault(place.channel, {})[tx_id] = None
    return [{"channel": channel, "transactions": list(ids)} for channel, ids in sorted(found.items())]
