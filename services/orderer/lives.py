"""The newest start of each other orderer, kept on the disk: one that comes back as it was before is refused.

An orderer that is restored from an older backup has forgotten what it acknowledged since. Each start of an orderer has
a number, one more than its last one's, and a random word; both are told at the beginning of each stream of Raft
messages. A number below the newest one, or the newest one with another word, is a start from an older state.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import InputError, PermissionDeniedError
from gridledger.files import write_atomically
from gridledger.formats import LIVES
from gridledger.sealed import seal, unseal

FILE = "lives.json"
_LIFE = re.compile(r"([0-9a-f]{8})-(\d{1,15})-([0-9a-f]{8})")
_REMEDY = "remove it: it is made anew from what the other orderers tell"


class RestoredOrderer(PermissionDeniedError):
    """An orderer comes back in an older state than the one that it was heard in."""

    code = "RESTORED_ORDERER"


class Lives:
    """What is known of the other orderers' starts."""

    def __init__(self, data: Path, disk: Disk = SYSTEM_DISK) -> None:
        """Read what an orderer's data folder holds."""
        self._path, self._disk = data / FILE, disk
        self._known: dict[str, Any] = {}
        if disk.exists(self._path):
            self._known = unseal(LIVES, disk.read(self._path), self._path, _REMEDY)["orderers"]
        self._lock = asyncio.Lock()

    async def hear(self, name: str, issuer: str, life: str) -> None:
        """Take note of a life that an orderer tells, if it does; durable when this returns. Raises
        :class:`RestoredOrderer`.

        ``issuer`` is the fingerprint of the root of its certificate: another channel may have another orderer of the
        same name, which must not tell of this one's lives.
        """
        key = f"{name} {issuer}"
        if not life or self._known.get(key) == life:
            return
        found = _LIFE.fullmatch(life)
        if found is None:
            raise InputError("a stream of Raft messages begins with the orderer's life")
        async with self._lock:
            known = _LIFE.fullmatch(self._known.get(key, ""))
            # Another id is another incarnation: Raft's membership says which one is heard.
            if known is not None and known[1] == found[1] and int(found[2]) <= int(known[2]) and life != known[0]:
                raise RestoredOrderer(
                    f"{name} comes back in an older state than it was heard in (start {found[2]} after {known[2]}), as "
                    f"from a backup: it counts as one without its log. Let it join anew: gridledger orderer readmit "
                    f"{name}",
                    node=name,
                )
            heard = {**self._known, key: life}
            await asyncio.to_thread(self._write, heard)
            self._known = heard

    def _write(self, known: dict[str, Any]) -> None:
        write_atomically(self._path, seal(LIVES, {"orderers": known}), mode=0o640, disk=self._disk)
