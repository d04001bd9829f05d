"""The feeder's grid, measured by its own PMUs over C37.118: the closed loop's frames come back over the protocol.

At each sampling the grid's state becomes phasors, which the PMUs send; the concentrator reads them like any others. How
many actions the measurement shows is known from the actuators at the time of the sampling.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from gridledger.errors import InputError, UnavailableError
from gridledger.field.c37118 import DataFrame, PmuData, Stat, time_at
from gridledger.grid.area import Area, area_of
from gridledger.grid.case import Case
from gridledger.grid.frames import Frame
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import GridState
from services.feeder.pmu.channels import BusPmu, configuration_of, pmus_of
from services.feeder.pmu.client import Source
from services.feeder.pmu.concentrator import Concentrator
from services.feeder.pmu.phasors import PhasorFrames, Quantity, in_service, phasors_of
from services.feeder.pmu.server import PmuServer, Transport

Streams = Literal["one", "bus"]
"""All PMUs in one stream, as a concentrator sends them, or a stream for each."""

MAX_SAMPLES = 256
ANSWER_S = 10.0
"""How long a measurement may fail to come."""
_FIRST_IDCODE = 1
_HOST = "127.0.0.1"
_MAX_GROUPS = 10_000
_NOMINAL_HZ = 60


class NoMeasurement(UnavailableError):
    """The PMUs of a group sent no whole measurement in time."""

    code = "NO_MEASUREMENT"


@dataclass(frozen=True, slots=True)
class Sample:
    """The grid when its PMUs sampled it."""

    time_us: int
    state: GridState
    case: Case
    service: tuple[int, ...]
    phasors: dict[Quantity, complex] = field(repr=False)
    applied: dict[str, int] = field(repr=False)


class Samples:
    """The latest samplings of a plant, and frames by what they knew."""

    def __init__(self, plant: Plant, area_of_group: Callable[[str], Area]) -> None:
        self.plant = plant
        self._area_of_group = area_of_group
        self._base = plant.grid.power_flow.case
        self._by_time: OrderedDict[int, Sample] = OrderedDict()
        self._makers: dict[str, tuple[Case, PhasorFrames]] = {}
        self._groups: set[str] = set()

    def take(self, now_us: int) -> Sample:
        """Sample the grid at ``now_us``, or just after the last sampling."""
        time_us = max(now_us, next(reversed(self._by_time), -1) + 1)
        plant, grid = self.plant, self.plant.grid
        state, case = plant.state(), plant.case
        phasors = phasors_of(state, self._base, grid.outages)
        applied = {group: plant.applied(group) for group in self._groups}
        sample = Sample(time_us, state, case, in_service(self._base, grid.outages), phasors, applied)
        self._by_time[time_us] = sample
        if len(self._by_time) > MAX_SAMPLES:
            self._by_time.popitem(last=False)
        return sample

    def count_actions_of(self, group: str) -> None:
        """From the next sampling on, note how many actions of the group the grid shows."""
        if group not in self._groups and len(self._groups) >= _MAX_GROUPS:
            raise InputError(f"more than {_MAX_GROUPS} groups are measured")
        self._groups.add(group)

    def at(self, time_us: int) -> Sample | None:
        """The sampling at a time."""
        return self._by_time.get(time_us)

    def maker(self, group: str, case: Case, service: tuple[int, ...]) -> PhasorFrames:
        """What makes a group's frames on a case."""
        known = self._makers.get(group)
        if known is None or known[0] is not case:
            area = self._area_of_group(group)
            if area.case is not case:
                area = area_of(case, group, area.members)
            known = self._makers[group] = (case, PhasorFrames(area, service))
        return known[1]


@dataclass(frozen=True, slots=True)
class Measured:
    """A group's frame, the state that was sampled, and its case."""

    state: GridState
    case: Case
    frame: Frame


class GridPmus:
    """The PMUs of the plant's grid, and the concentrator that reads them. ``rate``: samplings a second."""

    def __init__(
        self,
        plant: Plant,
        area_of_group: Callable[[str], Area],
        *,
        rate: float,
        now_us: Callable[[], int],
        random: Random,
        streams: Streams = "one",
        transport: Transport = "tcp",
        wait_ms: float = 60.0,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.samples = Samples(plant, area_of_group)
        self._rate, self._now_us, self._random = rate, now_us, random
        self._transport: Transport = transport
        self._wait_ms, self._tell = wait_ms, tell
        self._last_us: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        pmus = pmus_of(plant.grid.power_flow.case)
        self._parts: list[tuple[BusPmu, ...]] = [pmus] if streams == "one" else [(pmu,) for pmu in pmus]
        self._servers: list[PmuServer] = []
        self.concentrator: Concentrator | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve and read the streams. The grid is sampled by :meth:`sample`, or :meth:`keep_sampling`."""
        try:
            await self._serve()
            self.concentrator = self._new_concentrator()
            reading = asyncio.create_task(self.concentrator.run())
            try:
                async with asyncio.timeout(ANSWER_S):
                    for server in self._servers:
                        await server.has_receiver.wait()
                yield
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        finally:
            for server in self._servers:
                await server.stop()

    async def _serve(self) -> None:
        for number, part in enumerate(self._parts):
            config = configuration_of(part, _FIRST_IDCODE + number, self._rate, _NOMINAL_HZ)
            header = (
                f"{len(part)} buses of a simulated grid; V phase to neutral in V, I in A; no base voltage reads as 1 kV"
            )
            server = PmuServer(config, now_us=self._now_us, transport=self._transport, header=header)
            self._servers.append(server)
            await server.start(_HOST, 0)

    def _new_concentrator(self) -> Concentrator:
        sources = [
            Source(f"stream{number}", server.config.idcode, *server.address, self._transport)
            for number, server in enumerate(self._servers)
        ]
        told = {
            (f"stream{number}", pmu.station): dict(pmu.channels)
            for number, part in enumerate(self._parts)
            for pmu in part
        }
        return Concentrator(
            sources, told, wait_ms=self._wait_ms, now_us=self._now_us, random=self._random, tell=self._tell
        )

    def sample(self) -> Sample:
        """Sample the grid now, and send what its PMUs measure."""
        sample = self.samples.take(self._now_us())
        time = time_at(sample.time_us)
        for server, part in zip(self._servers, self._parts, strict=True):
            measured = [
                PmuData(Stat(0), tuple(sample.phasors[quantity] for _, quantity in pmu.channels), _NOMINAL_HZ, 0.0)
                for pmu in part
            ]
            server.publish(DataFrame(server.config.idcode, time, tuple(measured)))
        return sample

    async def keep_sampling(self) -> None:
        """Sample at the rate, until cancelled."""
        loop = asyncio.get_running_loop()
        begin, number = loop.time(), 0
        while True:
            self.sample()
            number = max(number + 1, int((loop.time() - begin) * self._rate))
            await asyncio.sleep(max(0.0, begin + number / self._rate - loop.time()))

    async def measure(self, group: str) -> Measured:
        """The group's newest frame that was not given before; it is waited for. :class:`NoMeasurement`."""
        assert self.concentrator is not None  # noqa: S101 - within running()
        self.samples.count_actions_of(group)
        try:
            # One after the other: two that wait at once would be given the same instant.
            async with asyncio.timeout(ANSWER_S), self._locks.setdefault(group, asyncio.Lock()):
                return await self._measured(group, self.concentrator)
        except TimeoutError:
            raise NoMeasurement(f"the PMUs of group {group} sent no whole measurement within {ANSWER_S:g} s") from None

    async def _measured(self, group: str, concentrator: Concentrator) -> Measured:
        while True:
            case, outages = self.samples.plant.case, self.samples.plant.grid.outages
            maker = self.samples.maker(group, case, in_service(self.samples.plant.grid.power_flow.case, outages))
            instant = await concentrator.newest(maker.needs, self._last_us.get(group, -1))
            self._last_us[group] = max(instant.time_us, self._last_us.get(group, -1))
            sample = self.samples.at(instant.time_us)
            if sample is None or group not in sample.applied:
                continue
            maker = self.samples.maker(group, sample.case, sample.service)
            if instant.has(maker.needs):
                frame = maker.frame(instant.phasors, instant.time_us, applied=sample.applied[group])
                return Measured(sample.state, sample.case, frame)
