"""A simulated PMU answers as C37.118.2 has it, and its frames are the grid's phasors."""

from __future__ import annotations

import asyncio

import pytest

from gridledger.field.c37118 import (
    Command,
    CommandFrame,
    Configuration,
    DataFrame,
    FrameDecoder,
    FrameTime,
    encode_command,
)
from gridledger.field.cutter import Cutter
from services.case.demonstration.pmu_servers import HOST, IDCODE, PmuServer, pmu_servers
from services.case.replay.pmus import MovingGrid, placed
from tests.support.processes import free_ports

BEGIN_US = 1_700_000_000_000_000


@pytest.fixture(scope="module")
def grid() -> MovingGrid:
    return MovingGrid(placed("case30", {"pmu-12": 12, "pmu-14": 14}), 40, 3, frequency=lambda second: 49.98)


def _command(code: Command) -> bytes:
    return encode_command(CommandFrame(IDCODE, FrameTime(0, 0), code))


async def _read(port: int, frames: int) -> list[object]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        cutter, decoder, found = Cutter(idcode=IDCODE), FrameDecoder(), list[object]()
        writer.write(_command(Command.DATA_OFF) + _command(Command.SEND_CFG2) + _command(Command.DATA_ON))
        async with asyncio.timeout(20):
            while len(found) < frames:
                for frame in cutter.feed(await reader.read(4096)):
                    found.append(decoder.decode(frame))
        return found
    finally:
        writer.close()


def test_a_client_gets_the_configuration_and_then_data_at_the_rate(grid: MovingGrid) -> None:
    (port,) = free_ports(1)

    async def run() -> list[object]:
        async with pmu_servers(grid, {"pmu-12": port}, begun_us=BEGIN_US, rate=20):
            return await _read(port, 4)

    config, *data = asyncio.run(run())
    assert isinstance(config, Configuration)
    assert [channel.name for channel in config.pmus[0].phasors] == grid.channels("pmu-12")
    times = [each.time.time_us(config.time_base) for each in data if isinstance(each, DataFrame)]
    assert len(times) == 3
    assert all(time_us % 50_000 == 0 for time_us in times)
    assert times[1] - times[0] == 50_000


def test_a_frame_has_the_grids_phasors_and_frequency(grid: MovingGrid) -> None:
    server = PmuServer(grid, "pmu-14", begun_us=BEGIN_US, rate=10)
    decoder = FrameDecoder()
    decoder.decode(server.configuration())
    data = decoder.decode(server.frame(BEGIN_US + 3_000_000))
    assert isinstance(data, DataFrame)
    (pmu,) = data.pmus
    assert pmu.freq_hz == pytest.approx(49.98, abs=1e-4)
    for measured, expected in zip(pmu.phasors, grid.phasors("pmu-14", 3.0), strict=True):
        assert abs(measured - expected) < 0.02 * abs(expected)
