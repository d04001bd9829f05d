"""The thread that writes the log, without a thread: the real log, written after a while, answered after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from gridledger.disk import Disk
from services.orderer.raft.wal import Wal
from services.orderer.raft.wal_records import GroupRecord, GroupWrite
from tests.simulation.world.disk import PowerLost
from tests.simulation.world.life import LIFE
from tests.simulation.world.membership_oracle import MembershipOracle


class SimulatedWriter:
    """Stands in for ``WalWriter``. ``chance`` and ``members`` are set for the time of a run."""

    chance: Random
    members: MembershipOracle
    slowest_s: float = 0.0

    def __init__(self, wal: Wal, max_segments: int) -> None:
        self.groups: dict[str, GroupRecord] = wal.groups
        self._wal = wal
        self._max_segments = max_segments
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def open(cls, directory: Path, segment_bytes: int, max_segments: int, disk: Disk) -> SimulatedWriter:
        wal = await asyncio.to_thread(Wal, directory, segment_bytes, disk, lambda: cls.chance.getrandbits(32))
        for record in wal.groups.values():
            cls.members.saw_log(_machine(), record)
        return cls(wal, max_segments)

    def submit(self, writes: Sequence[GroupWrite], done: Callable[[Exception | None], None]) -> None:
        self._idle.clear()
        chance = type(self).chance
        slow = self.slowest_s if chance.random() < 0.1 else 0.0
        delay_s = chance.choice((0.0003, 0.001, 0.003)) + chance.random() * slow
        asyncio.get_running_loop().call_later(delay_s, self._write, writes, done)

    def _write(self, writes: Sequence[GroupWrite], done: Callable[[Exception | None], None]) -> None:
        error: Exception | None = None
        try:
            self._wal.write(writes)
        except PowerLost:
            return
        except Exception as failed:
            error = failed
        for write in writes if error is None else ():
            self.members.saw_write(_machine(), write)
        asyncio.get_running_loop().call_later(0.0001, self._answer, done, error)

    def _answer(self, done: Callable[[Exception | None], None], error: Exception | None) -> None:
        self._idle.set()
        done(error)

    def crowded(self) -> list[str]:
        return self._wal.holding_back() if self._wal.segment_count > self._max_segments else []

    async def close(self) -> None:
        await self._idle.wait()
        self._wal.close()


def _machine() -> str:
    """On whose machine this runs."""
    life = LIFE.get()
    assert life is not None
    return life.name
