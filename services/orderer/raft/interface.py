"""What the orderer and its consensus engine say to each other.

The orderer codes against ``Consensus`` and hands in a ``StateMachine`` per group and a ``Transport``; ``RaftNode``
(node.py) is the engine behind it. Nothing here does I/O. Node ids are the orderers' names, group names are channel
names, indexes and terms are Raft's, both counted from 1. An orderer that was readmitted, or that joined a channel which
others had begun, has a node id of its own there (gridledger/incarnation.py).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Role(enum.Enum):
    """A server's role in one group (paper, section 5.1; PRE_CANDIDATE is thesis 9.6)."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class ChangeKind(enum.Enum):
    """One step of a membership change; each moves the set of voters by at most one (thesis 4.1)."""

    ADD_VOTER = 1
    ADD_LEARNER = 2
    REMOVE = 3


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """Add ``node_id`` as a voter (a learner is promoted), add it as a learner, or remove it."""

    kind: ChangeKind
    node_id: str


@dataclass(frozen=True, slots=True)
class Membership:
    """Who belongs to a group. Voters elect and count; learners receive the log and do neither (thesis 4.2.1)."""

    voters: frozenset[str]
    learners: frozenset[str] = frozenset()

    @property
    def everyone(self) -> frozenset[str]:
        """Voters and learners."""
        return self.voters | self.learners


@dataclass(frozen=True, slots=True)
class CommittedEntry:
    """One committed proposal. ``data`` is what was proposed, byte for byte; indexes ascend, with gaps where Raft's own
    entries (a new leader's empty one, membership changes) lie."""

    index: int
    term: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All entries up to and including ``index``, as the state machine's ``take_snapshot`` put them into ``data``."""

    index: int
    term: int
    membership: Membership
    data: bytes


@dataclass(frozen=True, slots=True)
class Leadership:
    """Who leads a group, as this node sees it. ``ready`` is true on the leader itself once every entry before its term
    has been applied here: only then may it derive new entries from the machine's state (height, last timestamp)."""

    group: str
    term: int
    leader: str | None
    is_self: bool
    ready: bool


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """A leader's view of one other member: highest index known durable there, next to send, and how it is fed.

    ``silent`` counts the election timeouts in a row in which nothing was heard of it."""

    match: int
    next: int
    state: str
    recently_active: bool
    silent: int = 0

    @property
    def is_heard(self) -> bool:
        """Whether this leader has heard of it, in the last election timeout or since."""
        return self.match > 0 and (self.recently_active or self.silent == 0)


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """One group on this node. Indexes: ``first`` is the oldest entry still held, ``stable`` the newest durable here.

    ``broken`` says why the group has stopped here, None while it runs; ``denials`` counts how often followers refused
    what they had acknowledged. ``declined`` is the entry of a leader that this node did not accept last, ``outvoted``
    the entry of its own that a majority did not accept, each 0 for none."""

    group: str
    role: Role
    term: int
    leader: str | None
    commit: int
    applied: int
    first: int
    last: int
    stable: int
    snapshot: int
    membership: Membership
    pending_proposals: int
    broken: str | None = None
    denials: int = 0
    declined: int = 0
    outvoted: int = 0
    followers: dict[str, FollowerStatus] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RaftSettings:
    """Timing and bounds of a node. Times in seconds, sizes in bytes.

    An election starts after election_ticks to 2*election_ticks-1 ticks without a leader. Every bound is per group
    unless the name says node, batch or segment. A snapshot is taken every snapshot_entries or snapshot_bytes applied;
    trailing_* stay in memory behind it for slow followers; beyond max_segments of the write-ahead log, groups that hold
    the oldest one back are asked for a snapshot too.
    """

    tick_s: float = 0.1
    election_ticks: int = 10
    heartbeat_ticks: int = 1
    max_entry_bytes: int = 16 * 1024 * 1024
    max_append_bytes: int = 1024 * 1024
    max_inflight_appends: int = 128
    max_inflight_bytes: int = 32 * 1024 * 1024
    max_unapplied_bytes: int = 64 * 1024 * 1024
    max_pending_proposals: int = 4096
    max_apply_bytes: int = 8 * 1024 * 1024
    max_node_outbox_bytes: int = 64 * 1024 * 1024
    max_batch_bytes: int = 64 * 1024 * 1024
    proposal_timeout_s: float = 10.0
    send_timeout_s: float = 5.0
    snapshot_entries: int = 10_000
    snapshot_bytes: int = 64 * 1024 * 1024
    trailing_entries: int = 1_000
    trailing_bytes: int = 32 * 1024 * 1024
    segment_bytes: int = 16 * 1024 * 1024
    max_segments: int = 8
    stop_grace_s: float = 2.0


class Link(NamedTuple):
    """A connection to the node ``to``; ``way`` tells apart those of groups that do not reach it in the same way, and
    ``sender`` those of groups that know this node by another id than its own."""

    to: str
    way: int = 0
    sender: str = ""


class Transport(Protocol):
    """Carries batches to other nodes. Loss, duplication and reordering are allowed; order kept is faster."""

    def link(self, group: str, to: str) -> Link:
        """Which connection takes a group's messages to a node. What happens to a link happens to its groups alone."""

    async def send(self, link: Link, payload: bytes) -> None:
        """Hand one batch over; return as soon as the next may follow (do not wait for the other side's disk).

        The node calls this for one batch at a time per link, what comes up meanwhile fills the next batch.
        Raises when the destination is not reachable: the node then probes it instead of streaming to it. The other side
        passes the payload to ``Consensus.receive``, with who the connection authenticates as.
        """


class StateMachine(Protocol):
    """One group's state machine, driven by one task: no two of these calls run at the same time for one group."""

    async def apply(self, entries: Sequence[CommittedEntry]) -> None:
        """Apply entries in order. Each is durable here and on a majority, and will never change. After a restart the
        entries after the ``applied`` given to ``add_group`` come again. An exception stops the group here (see
        ``GroupStatus.broken``), a disk's (OSError, DiskFailed, NoSpaceLeft) the node (see ``failure``)."""

    async def take_snapshot(self) -> bytes:
        """Make everything applied so far durable by itself (the log up to there may be dropped), and return a small
        description from which another node can fetch it (for a ledger: height and header hash)."""

    async def install_snapshot(self, snapshot: Snapshot) -> None:
        """Fetch, verify and make durable everything up to ``snapshot.index``. Called instead of ``apply`` when this
        node is too far behind for the leader's log, and again after a restart that came in between. May take long and
        should retry by itself; nothing further is applied and this node does not campaign until it returns."""

    def leadership_changed(self, leadership: Leadership) -> None:
        """Called on every change of leader or term and when this node becomes ready to lead. Must not block."""


class Consensus(Protocol):
    """A replicated log per group. All methods belong to the event loop that started the node."""

    @property
    def node_id(self) -> str:
        """The name that this node has in its groups, where they know it by no other."""

    async def create_group(self, group: str, members: Sequence[str]) -> None:
        """Begin a group's log, durably, where there is none, ahead of ``add_group``."""

    async def add_group(
        self,
        group: str,
        members: Sequence[str],
        machine: StateMachine,
        *,
        applied: int = 0,
        accepts: Callable[[bytes], bool] | None = None,
        create: bool = True,
        node_id: str | None = None,
    ) -> None:
        """Take part in a group, as ``node_id`` where the group knows this node by another id than its own.

        ``members`` are its voters when the group starts (only the first time counts, later the log knows better).
        ``applied`` is the index of the last entry the machine holds durably, 0 for none. ``accepts`` judges the data
        of a leader's entry that is not committed yet: what this node does not accept it does not acknowledge, and a
        leader whose entry a majority does not accept steps aside.

        Raises RaftConfigError when ``applied`` lies beyond the log (another log, or a log that lost its disk), and
        without ``create`` LogMissing where there is no log.
        """

    async def remove_group(self, group: str) -> None:
        """Leave a group and forget its log for good; waits for its state machine to come to rest. A log whose group
        was not added is forgotten too, and where there is none nothing happens."""

    async def propose(self, group: str, data: bytes, *, timeout_s: float | None = None) -> int:
        """Append data; returns its index as soon as it is committed (durable on a majority, place in the order fixed).

        ``apply`` of the same entry follows, possibly after this returns. Raises NotLeader (details: leader), at once;
        ProposalDropped when leadership was lost meanwhile (details: outcome "lost" or "unknown": with "unknown" the
        entry may still commit); RaftBusy when a bound is reached; ProposalTimeout; NodeStopped.
        """

    def receive(self, name_in: Callable[[str], str | None], payload: bytes) -> None:
        """Take a batch that another node sent through its transport. ``name_in(group)`` is the name that the sender,
        authenticated, has in a group, None where it is no member of it: its messages for that group are then left out.
        Raises MalformedBatch, also where the batch names another sender."""

    def leader(self, group: str) -> str | None:
        """The leader's node id as known here, None when there is none."""

    def leadership(self, group: str) -> Leadership:
        """The current leadership, with ``ready``."""

    def status(self, group: str) -> GroupStatus:
        """One group's state; raises GroupUnknown."""

    def is_member(self, group: str, node: str) -> bool:
        """Whether an incarnation of the orderer ``node`` belongs to a group: by what is committed here, or by a change
        of membership that may still be undone."""

    def groups(self) -> list[str]:
        """Names of the groups that this node takes part in, sorted."""

    async def change_membership(self, group: str, change: MembershipChange, *, timeout_s: float | None = None) -> int:
        """On the leader: one membership change; returns its index when committed. Raises as ``propose``, and
        MembershipRefused (one is under way, no entry of this term is committed yet, or the change changes nothing)."""

    async def transfer_leadership(self, group: str, to: str, *, timeout_s: float | None = None) -> None:
        """On the leader: hand leadership to a voter; returns when ``to`` leads. Proposals meanwhile get ProposalDropped
        (outcome "lost"). Raises TransferFailed after one election timeout: this node then leads on."""

    async def compact(self, group: str) -> int:
        """Take a snapshot now and drop the log behind it; returns the snapshot's index."""

    @property
    def failed(self) -> bool:
        """Whether the node has failed."""

    def set_quiet(self, group: str, *, quiet: bool) -> None:
        """Whether this node leaves elections of a group to others, as one that was removed does. It still votes."""

    def break_group(self, group: str, error: Exception) -> None:
        """Stop one group on this node for good, as an error of its own does (``GroupStatus.broken``)."""

    async def failure(self) -> Exception:
        """Waits until the node has failed (a disk's error) and returns why. A failed node answers nothing any more and
        must be restarted: what a failed fsync left on disk is unknown. What goes wrong in one group stops that group
        alone (see ``GroupStatus.broken``)."""

    async def stop(self) -> None:
        """Stop: pending proposals get NodeStopped, the log is flushed and closed. Idempotent."""
