"""A phasor data concentrator (PDC): reads streams, aligns them, and gives instants of phasors by bus and branch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from random import Random

from gridledger.field.c37118 import Configuration, DataFrame
from services.feeder.pmu.alignment import Alignment, Instant, Reading
from services.feeder.pmu.client import PmuClient, Source
from services.feeder.pmu.phasors import Quantity

_EXPIRES_IN_WAIT = 4
"""How often in a wait time instants are looked at."""

Pmus = Mapping[tuple[str, str], Mapping[str, Quantity]]
"""By stream and station: what each phasor is of, by its name."""


class Concentrator:
    """Reads ``sources``; ``pmus`` tells what their PMUs measure. A PMU or phasor that is not told of is ignored."""

    def __init__(
        self,
        sources: Iterable[Source],
        pmus: Pmus,
        *,
        wait_ms: float,
        now_us: Callable[[], int],
        random: Random,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.alignment = Alignment(map(_named, pmus), wait_us=round(wait_ms * 1000))
        self._pmus = pmus
        self._now_us = now_us
        self._wait_s = wait_ms / 1000
        self._news = asyncio.Condition()
        self._layouts: dict[str, tuple[Configuration, list[_Layout]]] = {}
        self.clients = {
            source.name: PmuClient(source, self._taker(source.name), now_us=now_us, random=random, tell=tell)
            for source in sources
        }

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._expire())
            for client in self.clients.values():
                group.create_task(client.run())

    async def newest(self, needs: frozenset[Quantity], after_us: int) -> Instant:
        """The newest instant after a time with all of ``needs``; it is waited for."""
        async with self._news:
            while (found := self.alignment.newest(needs, after_us)) is None:
                await self._news.wait()
            return found

    def counts(self) -> dict[str, Mapping[str, Mapping[str, int]]]:
        """What was late, missing, bad and off by PMU, and each stream's frames, reconnects and dropped bytes."""
        streams = {name: dict(client.counts) for name, client in self.clients.items()}
        return {"pmus": self.alignment.counts(), "streams": streams}

    def _taker(self, stream: str) -> Callable[[Configuration, DataFrame], None]:
        def take(config: Configuration, data: DataFrame) -> None:
            known = self._layouts.get(stream)
            if known is None or known[0] is not config:
                known = self._layouts[stream] = (config, self._layout(stream, config))
            readings = [
                Reading(name, data.pmus[at].stat, {quantity: data.pmus[at].phasors[n] for n, quantity in channels})
                for name, at, channels in known[1]
            ]
            time_us = data.time.time_us(config.time_base)
            if self.alignment.add(time_us, readings, self._now_us()) is not None:
                self._wake()

        return take

    def _layout(self, stream: str, config: Configuration) -> list[_Layout]:
        """Of each PMU that is told of: its name, its place in the stream's frames, and its phasors' places."""
        found = []
        for at, pmu in enumerate(config.pmus):
            told = self._pmus.get((stream, pmu.station))
            if told is not None:
                channels = [(n, told[channel.name]) for n, channel in enumerate(pmu.phasors) if channel.name in told]
                found.append((_named((stream, pmu.station)), at, channels))
        return found

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(self._wait_s / _EXPIRES_IN_WAIT)
            self.alignment.expire(self._now_us())

    def _wake(self) -> None:
        """Wake who waits. The condition's lock is free: nobody awaits while holding it."""
        asyncio.ensure_future(self._notify())  # noqa: RUF006 - it ends at once

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()


_Layout = tuple[str, int, list[tuple[int, Quantity]]]


def _named(pmu: tuple[str, str]) -> str:
    return f"{pmu[0]}/{pmu[1]}"
