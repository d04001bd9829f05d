"""Which life of an orderer its data folder holds: a random id, and whether the Raft log of this life was created.

An orderer that comes back without its log has forgotten how it voted and what it acknowledged. So only three acts
permit a log to be created, and each does so once: the network's bootstrap; a readmission, which gives the orderer a new
incarnation that Raft knows as another server; and joining a channel at run time. A start never creates one.

Who joins a channel that it is to begin with others has the orderer's name in its Raft group, as after a bootstrap. Who
joins one that others have begun has a name with the incarnation's id: another server than any that it was there before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import CorruptionError
from gridledger.files import write_atomically
from gridledger.formats import INCARNATION
from gridledger.sealed import seal, unseal

FILE = "incarnation.json"
_MARK = "#"


class NoLog(CorruptionError):
    """An orderer's data folder lacks its Raft log, which it must not begin anew by itself."""

    code = "NO_LOG"


def no_log(node: str, data: Path, channel: str | None = None) -> NoLog:
    """What is told of an orderer without its log, or without a channel's."""
    what = "its log" if channel is None else f"its log of {channel}"
    return NoLog(
        f"{node} has lost {what} ({data}), and with it its votes and acknowledgements: it must not come back without. "
        f"Let it join anew (gridledger orderer readmit {node}); a backup is restored for all orderers or for none",
        node=node,
    )


def node_of(raft_id: str) -> str:
    """The orderer's name in the name that Raft knows one of its incarnations by."""
    return raft_id.partition(_MARK)[0]


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of an orderer. ``joins`` tells a readmitted one; ``begun`` that its log was created.
    ``starts`` counts its starts, ``word`` is the newest one's random word (services/orderer/lives.py), ``since_us`` is
    the time of the first one (microseconds since 1970)."""

    node: str
    id: str
    joins: bool = False
    begun: bool = False
    starts: int = 0
    word: str = ""
    since_us: int = 0

    @property
    def raft_id(self) -> str:
        """The name by which Raft knows it: the orderer's, and the id where it was readmitted."""
        return self.joiner_id if self.joins else self.node

    @property
    def joiner_id(self) -> str:
        """The same in a channel that others have begun."""
        return f"{self.node}{_MARK}{self.id}"

    def may_begin(self, made_us: int) -> bool:
        """Whether no earlier incarnation can have taken part in a channel whose genesis block is of this time."""
        return not self.joins or made_us > self.since_us > 0

    @classmethod
    def read(cls, data: Path, node: str, disk: Disk = SYSTEM_DISK) -> Self:
        """The incarnation in a data folder; :class:`NoLog` where there is none."""
        path = data / FILE
        if not disk.exists(path):
            raise no_log(node, data)
        remedy = f"let it join anew: gridledger orderer readmit {node}"
        found = unseal(INCARNATION, disk.read(path), path, remedy)
        if found["node"] != node:
            raise CorruptionError(f"{path} is of {found['node']}, and this is {node}: {remedy}")
        return cls(
            node, found["id"], found["joins"], found["begun"], found["starts"], since_us=found.get("since_us", 0)
        )

    def write(self, data: Path, disk: Disk = SYSTEM_DISK) -> None:
        """Keep it in a data folder, durably."""
        disk.make_folder(data)
        write_atomically(data / FILE, seal(INCARNATION, asdict(self)), mode=0o640, disk=disk)

    @property
    def life(self) -> str:
        """What the others are told of this start."""
        return f"{self.id}-{self.starts}-{self.word}"

    def started(self, word: str, now_us: int) -> Self:
        """The same at its next start, with a random word of 8 hexadecimal digits. To be written before it is told."""
        return replace(self, starts=self.starts + 1, word=word, since_us=self.since_us or now_us)

    def with_log(self) -> Self:
        """The same, once its log was created."""
        return replace(self, begun=True)
