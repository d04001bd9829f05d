"""Raft's errors, as branches of the one tree."""

from __future__ import annotations

from typing import Any

from gridledger.errors import (
    BusyError,
    ConflictError,
    CorruptionError,
    GridLedgerError,
    InputError,
    LimitError,
    NotFoundError,
    SettingsError,
    TimeoutExceeded,
    UnavailableError,
)


class NotLeader(GridLedgerError):
    """This node does not lead the group. ``leader`` is the node to ask, None while there is none."""

    code = "NOT_LEADER"
    status = 421

    def __init__(self, message: str, *, leader: str | None = None, **details: Any) -> None:
        super().__init__(message, leader=leader, **details)
        self.leader = leader


class ProposalDropped(UnavailableError):
    """A proposal was not seen to commit. details.outcome: "lost" (never will be), "unknown" (still may)."""

    code = "PROPOSAL_DROPPED"


class ProposalTimeout(TimeoutExceeded):
    """A proposal was not seen to commit in time. It still may."""

    code = "PROPOSAL_TIMEOUT"


class RaftBusy(BusyError):
    """A bound on what is proposed and not yet applied is reached."""

    code = "RAFT_BUSY"


class EntryTooLarge(LimitError):
    """A proposal is larger than max_entry_bytes."""

    code = "ENTRY_TOO_LARGE"


class GroupUnknown(NotFoundError):
    """This node takes no part in the group."""

    code = "GROUP_UNKNOWN"


class MembershipRefused(ConflictError):
    """A membership change cannot be made now, or would change nothing."""

    code = "MEMBERSHIP_REFUSED"


class TransferFailed(UnavailableError):
    """Leadership was not taken over within an election timeout."""

    code = "TRANSFER_FAILED"


class NodeStopped(UnavailableError):
    """The node was stopped, or has failed."""

    code = "NODE_STOPPED"


class GroupBroken(UnavailableError):
    """The group has stopped on this node, whose other groups go on."""

    code = "GROUP_BROKEN"


class MalformedBatch(InputError):
    """Bytes from another node are not a batch of Raft messages, or not from whom they claim."""

    code = "MALFORMED_RAFT_BATCH"


class LogMissing(CorruptionError):
    """A group's log is not here, and nobody permitted to begin one."""

    code = "RAFT_LOG_MISSING"


class RaftConfigError(SettingsError):
    """Settings, members or an applied index do not fit the log."""

    code = "BAD_RAFT_CONFIG"


class LogBroken(CorruptionError):
    """A safety property would be violated if the group went on; it stops on this node."""

    code = "RAFT_LOG_BROKEN"


class WalCorrupt(CorruptionError):
    """The write-ahead log is damaged before its tail: something other than a crash while writing did that."""

    code = "WAL_CORRUPT"
