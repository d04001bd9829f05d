"""What the simulated relay logs of each capture that it completes: the file ``renames.jsonl`` in its folder."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridledger import jsontext
from gridledger.errors import UnavailableError

POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Rename:
    """A capture's minute (UTC), the hash of its text, and when it was complete (real time, us since 1970)."""

    minute: int
    sha256: str
    renamed_us: int


class Renames:
    """Reads the file as it grows; ``all`` has what was read by minute. Nothing new within ``patience_s`` is a fault."""

    def __init__(self, path: Path, patience_s: float) -> None:
        self._path = path
        self._patience_s = patience_s
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
        """The rename of a minute's capture, waited for. :class:`UnavailableError` when the relay completes no more."""
        while minute not in self.all:
            await self._news()
        return self.all[minute]

    async def newest(self) -> int:
        """The newest complete minute, waited for where there is none yet."""
        if not self.all:
            await self._news()
        return max(self.all)

    async def _news(self) -> None:
        known = len(self.all)
        try:
            async with asyncio.timeout(self._patience_s):
                while len(self.all) == known:
                    await asyncio.sleep(POLL_S)
                    self.look()
        except TimeoutError:
            raise UnavailableError(
                f"the simulated relay completed no capture within {self._patience_s:g} s ({self._path})"
            ) from None
