"""What must hold of Raft's members while a channel's orderers change; checked at every entry that changes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gridledger.incarnation import node_of
from gridledger.protocol import ChannelConfig
from gridledger.protocol.block import SignedBlock
from services.orderer.block_store import BlockStore
from services.orderer.raft.interface import Membership
from services.orderer.raft.messages import Entry, EntryKind, unpack_membership
from services.orderer.raft.wal_records import GroupRecord, GroupWrite
from tests.simulation.world.oracle import Violated, require


class Change(NamedTuple):
    """One entry of the log that changes the members: what one orderer wrote, and which incarnation it is about."""

    writer: str
    what: str
    raft_id: str


class _Held(NamedTuple):
    """The members from an index of the log on."""

    since: int
    membership: Membership


@dataclass
class MembershipOracle:
    """Sees the memberships in every orderer's log as they are written, and the newest configuration.

    ``leader_of`` gives who leads a term as far as is known; ``applied_of`` how much of the log an orderer that is up
    has applied, and ``config_of`` the configuration that it goes by, by its name; ``in_force`` the memberships that
    orderers go by now. ``on_change`` hears of each change once, ``fail`` of what does not hold.
    """

    first: ChannelConfig
    leader_of: Callable[[int], str | None]
    applied_of: Callable[[str], int]
    config_of: Callable[[str], ChannelConfig | None]
    in_force: Callable[[], list[Membership]]
    fail: Callable[[str], None]
    on_change: Callable[[Change], None] = lambda _: None
    _configs: dict[int, ChannelConfig] = field(default_factory=dict)
    _logs: dict[str, list[_Held]] = field(default_factory=dict)
    _durable: dict[str, int] = field(default_factory=dict)
    _applied: int = 0
    _added: dict[str, int] = field(default_factory=dict)
    _reached: dict[str, int] = field(default_factory=dict)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.config = self.first

    def saw_log(self, orderer: str, record: GroupRecord) -> None:
        """An orderer has read this from its disk at its start."""
        snapshot = record.snapshot
        held = _Held(0, record.membership) if snapshot is None else _Held(snapshot.index, snapshot.membership)
        self._logs[orderer] = [held]
        self._durable[orderer] = held.since
        self._saw_entries(orderer, [entry for entry in record.entries if entry.index > held.since])

    def saw_write(self, orderer: str, write: GroupWrite) -> None:
        """An orderer has written this, durably."""
        if write.created is not None:
            self._logs[orderer], self._durable[orderer] = [_Held(0, write.created)], 0
        if write.snapshot is not None and write.reset:
            self._logs[orderer] = [_Held(write.snapshot.index, write.snapshot.membership)]
            self._durable[orderer] = write.snapshot.index
        self._saw_entries(orderer, write.entries)

    def saw_applied(self, orderer: str, index: int) -> None:
        """An orderer has applied an entry: a majority has it, of those that voted then or since."""
        if index <= self._applied:
            return
        self._applied = index
        held = [self._at(orderer, index), *(item.membership for item in self._logs[orderer] if item.since > index)]
        memberships = [*filter(None, held), *self.in_force()]
        have = sorted(name for name, durable in self._durable.items() if durable >= index)
        require(
            any(_decide(item, have) for item in memberships),
            f"{orderer} has applied entry {index}, which {have} have, of {', '.join(map(_told, memberships))}",
        )

    def heard(self, raft_id: str) -> None:
        """An orderer that is up announces itself."""
        self._reached[raft_id] = max(self._reached.get(raft_id, 0), self.applied_of(node_of(raft_id)))

    def saw_config(self, orderer: str, config: ChannelConfig, block: int, index: int) -> None:
        """An orderer follows a configuration from now on, which came with this block, of the log's entry ``index``: 0
        for a block that it fetched."""
        before = self.config
        if config.sequence <= before.sequence:
            return
        self.config = self._configs[block] = config
        held = self._at(orderer, index)
        if not index or held is None or config.orderers.keys() == before.orderers.keys():
            return
        votes = {node_of(voter) for voter in held.voters}
        followed = votes == before.orderers.keys() and not held.learners
        require(
            followed or votes == config.orderers.keys(),
            f"configuration {config.sequence} changes the orderers {sorted(before.orderers)} to "
            f"{sorted(config.orderers)} while {sorted(held.voters)} vote and {sorted(held.learners)} learn",
        )

    def saw_signatures(self, orderer: str, store: BlockStore) -> None:
        """What an orderer has: each block under the signature of an orderer of the block's time."""
        config = self.first
        for number in range(1, store.height):
            signer = SignedBlock.from_bytes(store.record(number).payload)[1].orderer
            known = signer in config.orderers_by_fingerprint
            require(known, f"{orderer} has block {number} under no signature of {', '.join(config.orderers)}")
            config = self._configs.get(number, config)

    def _at(self, orderer: str, index: int) -> Membership | None:
        held = [item for item in self._logs.get(orderer, []) if item.since <= index]
        return held[-1].membership if held else None

    def _saw_entries(self, orderer: str, entries: Sequence[Entry]) -> None:
        log = self._logs.setdefault(orderer, [])
        if entries:
            self._durable[orderer] = entries[-1].index
        for entry in entries:
            while log and log[-1].since >= entry.index:
                log.pop()
            if entry.kind is EntryKind.MEMBERSHIP:
                after = unpack_membership(entry.data)
                if log and (entry.index, entry.term) not in self._seen:
                    self._seen.add((entry.index, entry.term))
                    try:
                        self._check(orderer, entry, log[-1].membership, after)
                    except Violated as violated:
                        self.fail(str(violated))
                log.append(_Held(entry.index, after))

    def _check(self, orderer: str, entry: Entry, before: Membership, after: Membership) -> None:
        said = f"entry {entry.index} makes of {_told(before)} {_told(after)}"
        gone, new = before.everyone - after.everyone, after.everyone - before.everyone
        promoted = after.voters - before.voters
        require(len(before.voters ^ after.voters) <= 1, f"{said}: more than one voter at a step")
        require(len(gone | new | promoted) == 1, f"{said}: not one change")
        require(len({node_of(item) for item in after.everyone}) == len(after.everyone), f"{said}: one orderer twice")
        for raft_id in new:
            require(raft_id in after.learners, f"{said}: {raft_id} votes without having been a learner")
            self._added[raft_id] = min(entry.index, self._added.get(raft_id, entry.index))
            self.on_change(Change(orderer, "added as a learner", raft_id))
        for raft_id in promoted - new:
            applied, there = self._reached.get(raft_id, 0), self._added.get(raft_id, 0)
            require(applied >= there, f"{said}: of {there} entries {raft_id} has applied {applied}")
            self.on_change(Change(orderer, "promoted", raft_id))
        for raft_id in gone:
            leads = node_of(raft_id) == self.leader_of(entry.term)
            require(not (leads and raft_id in before.voters), f"{said}: {raft_id} leads term {entry.term}")
            config = self.config_of(orderer)
            if config is not None and raft_id in before.voters and node_of(raft_id) not in config.orderers:
                missing = config.orderers.keys() - {node_of(voter) for voter in before.voters}
                require(not missing, f"{said}: {raft_id} goes before {sorted(missing)} vote")
            self.on_change(Change(orderer, "removed", raft_id))


def _decide(membership: Membership, have: Collection[str]) -> bool:
    """Whether a majority of the voters is among these orderers."""
    return sum(node_of(voter) in have for voter in membership.voters) > len(membership.voters) // 2


def _told(membership: Membership) -> str:
    learners = f" and the learners {sorted(membership.learners)}" if membership.learners else ""
    return f"{sorted(membership.voters)}{learners}"
