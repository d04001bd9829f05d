"""Events in files: whoever writes one makes it under another name, and moves it into the folder when it is whole.

A file's lines are told in order, and it goes to ``done`` when all of them are on the disk. A node that is killed reads
the file once more; lines that were recorded lately, and have a ``time_us``, are known again.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from services.lightnode import metrics
from services.lightnode.settings import FolderSource
from services.lightnode.sources.telling import Tell, told

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_PATTERN: Final = "*.jsonl"
_TOGETHER: Final = 64
"""Lines that are told before the first of them is answered: they are flushed together."""

_log = logging.getLogger(__name__)


class FolderReader:
    """One folder of one device."""

    def __init__(self, source: FolderSource, tell: Tell) -> None:
        self._folder = source.folder
        self._every_s = source.every_s
        self._tell = tell
        for folder in (self._folder, self._folder / "done", self._folder / "refused"):
            folder.mkdir(parents=True, exist_ok=True)

    async def run(self) -> None:
        """Read what comes until this is cancelled."""
        while True:
            for path in await asyncio.to_thread(self._files):
                await self._read(path)
            await asyncio.sleep(self._every_s)

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.glob(_PATTERN) if path.is_file())

    async def _read(self, path: Path) -> None:
        lines = await asyncio.to_thread(self._lines, path)
        refused: list[bytes] = []
        for start in range(0, len(lines), _TOGETHER):
            group = lines[start : start + _TOGETHER]
            outcomes = await asyncio.gather(*map(self._tell_line, group))
            refused += [line for line, is_event in zip(group, outcomes, strict=True) if not is_event]
        metrics.SOURCE_EVENTS.labels("folder").inc(len(lines) - len(refused))
        await asyncio.to_thread(self._done, path, refused)

    def _lines(self, path: Path) -> list[bytes]:
        """A file's lines; none of one that is too long, which is put among the refused."""
        if path.stat().st_size > MAX_FILE_BYTES:
            _log.error("a file of events is too long", extra={"file": str(path), "bytes": MAX_FILE_BYTES})
            path.replace(self._folder / "refused" / path.name)
            return []
        return [line for line in path.read_bytes().splitlines() if line.strip()]

    def _done(self, path: Path, refused: list[bytes]) -> None:
        if refused:
            (self._folder / "refused" / path.name).write_bytes(b"\n".join(refused) + b"\n")
        if path.exists():
            path.replace(self._folder / "done" / path.name)

    async def _tell_line(self, line: bytes) -> bool:
        try:
            event = jsontext.loads(line)
        except GridLedgerError:
            return False
        if not isinstance(event, dict) or "device" in event:
            return False
        return await told(self._tell, event)
