"""What the simulated relay logs of each capture that it completes: the file ``renames.jsonl`` in its folder."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridledger import jsontext

POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Rename:
    """A capture's minute (UTC), the hash of its text, and when it was complete (real time, us since 1970)."""

    minute: int
    sha256: str
    renamed_us: int


class Renames:
    """Reads the file as it grows; ``all`` has what was read by minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self.all: dict[int, Rename] = {}

    def look(self) -> None:
        """Read what came since."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            told = jsontext.loads(line)
            self.all[told["minute"]] = Rename(told["minute"], told["sha256"], told["renamed_us"])

    async def until(self, minute: int) -> Rename:
        """The rename of a minute's capture, waited for."""
        while minute not in self.all:
            await asyncio.sleep(POLL_S)
            self.look()
        return self.all[minute]

    async def newest(self) -> int:
        """The newest complete minute, waited for where there is none yet."""
        while not self.all:
            await asyncio.sleep(POLL_S)
            self.look()
        return max(self.all)
