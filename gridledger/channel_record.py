"""Which channels a node has joined and left at run time, kept in its data folder.

``channels.json`` says it; beside it lie, in ``channels``, the genesis block of each joined channel and the newest
config block that the node was given of a channel. What is written here is durable when a call returns: a crash leaves a
channel joined or not, and what a node has begun to remove it goes on removing at its next start.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.files import write_atomically
from gridledger.formats import CHANNEL_RECORD
from gridledger.incarnation import Incarnation
from gridledger.sealed import seal, unseal

FILE = "channels.json"
FOLDER = "channels"
_REMEDY = "restore it from a backup of this node's data folder, or let the node join anew with an empty one"

JOINED, LEAVING, LEFT = "joined", "leaving", "left"


class ChannelFiles(NamedTuple):
    """The file of a channel's genesis block, and those of newer config blocks that the node was given, if any."""

    genesis: Path
    configs: list[Path]


class ChannelRecord:
    """A node's record. A channel that is neither joined nor left has no entry: the settings say whether it is served.

    An entry is ``{"state": ...}`` with what the node keeps beside it. Calls block for flushes of the disk.
    """

    def __init__(self, data: Path, disk: Disk = SYSTEM_DISK) -> None:
        """Read what a data folder holds, if anything."""
        self._path, self._folder, self._disk = data / FILE, data / FOLDER, disk
        self._entries: dict[str, dict[str, Any]] = {}
        if disk.exists(self._path):
            self._entries = unseal(CHANNEL_RECORD, disk.read(self._path), self._path, _REMEDY)["channels"]

    def channels(self, settled: list[str]) -> list[str]:
        """The channels to serve, where the settings name ``settled``: those, without what was left, and the joined."""
        gone = {name for name, entry in self._entries.items() if entry["state"] != JOINED}
        return sorted({*settled, *self._in_state(JOINED)} - gone)

    def leaving(self) -> list[str]:
        """Channels that were left, and of which something may remain."""
        return self._in_state(LEAVING)

    def _in_state(self, state: str) -> list[str]:
        return sorted(name for name, entry in self._entries.items() if entry["state"] == state)

    def entry(self, name: str) -> Mapping[str, Any]:
        """What is kept of a channel; {"state": ""} for one that has no entry."""
        return self._entries.get(name, {"state": ""})

    def raft_id(self, name: str, incarnation: Incarnation) -> str:
        """By which name Raft knows an orderer on one of its channels."""
        return str(self.entry(name).get("raft_id", incarnation.raft_id))

    def files(self, name: str, settled: Path) -> ChannelFiles:
        """Where a served channel's blocks lie, where ``settled`` is the settings' folder of genesis blocks."""
        joined = self._entries.get(name, {}).get("state") == JOINED
        configs = [path for path in (self._file(name, "config"), settled / f"{name}.config") if path.exists()]
        return ChannelFiles(self._file(name, "genesis") if joined else settled / f"{name}.genesis", configs)

    def genesis(self, name: str) -> bytes:
        """The genesis block of a joined channel."""
        return self._disk.read(self._file(name, "genesis"))

    def config_block(self, name: str) -> bytes | None:
        """The newest config block that was given, None where none was."""
        path = self._file(name, "config")
        return self._disk.read(path) if self._disk.exists(path) else None

    def join(self, name: str, genesis: bytes, config_block: bytes | None, **kept: Any) -> None:
        """Note that a channel is joined."""
        self._disk.make_folder(self._folder)
        write_atomically(self._file(name, "genesis"), genesis, mode=0o640, disk=self._disk)
        if config_block is None:
            self._disk.unlink(self._file(name, "config"))
        else:
            self.renew(name, config_block)
        self._set(name, {"state": JOINED, **kept})

    def renew(self, name: str, config_block: bytes) -> None:
        """Keep a newer config block."""
        self._disk.make_folder(self._folder)
        write_atomically(self._file(name, "config"), config_block, mode=0o640, disk=self._disk)

    def keep(self, name: str, **kept: Any) -> None:
        """Keep more of a joined channel."""
        self._set(name, {**self._entries[name], **kept})

    def leave(self, name: str, **kept: Any) -> None:
        """Note that a channel is left; :meth:`forget` follows when nothing of it remains."""
        self._set(name, {**self._entries.get(name, {}), "state": LEAVING, **kept})

    def forget(self, name: str) -> None:
        """Note that nothing remains of a channel that was left."""
        self._disk.unlink(self._file(name, "genesis"))
        self._disk.unlink(self._file(name, "config"))
        self._set(name, {**self._entries[name], "state": LEFT})

    def _file(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"

    def _set(self, name: str, entry: dict[str, Any]) -> None:
        entries = {**self._entries, name: entry}
        write_atomically(self._path, seal(CHANNEL_RECORD, {"channels": entries}), mode=0o640, disk=self._disk)
        self._entries = entries
