"""A simulated relay in the test's own process, over real sockets, on a fast clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.relay.readers import Reader, open_reader
from services.relay.simulator.process import RunningRelay, running
from services.relay.simulator.settings import SimulatorSettings

START_MINUTE = 27_000_000
"""2021-05-03T00:00Z."""


@asynccontextmanager
async def simulated_relay(data: Path, **settings: Any) -> AsyncIterator[RunningRelay]:
    """Run a relay for as long as the block lasts. A minute lasts 0.3 s where nothing else is said."""
    told: dict[str, Any] = {"minute_s": 0.3, "start_minute": START_MINUTE, "seed": 7, **settings}
    told |= {"name": "relay", "data": data, "port": 1, "modbus_port": 1, "iec61850_port": 1}
    async with running(SimulatorSettings(**told), any_ports=True) as relay:
        yield relay


@asynccontextmanager
async def reader_of(
    relay: RunningRelay, protocol: str = "text", server: str = "5004", *, answer_s: float = 1.0, **record: Any
) -> AsyncIterator[Reader]:
    """A server's reader of the relay; ``record`` are members that differ from :func:`record_of`."""
    reader = open_reader(record_of(relay, protocol) | record, server, answer_s=answer_s)
    try:
        yield reader
    finally:
        await reader.close()


def record_of(relay: RunningRelay, protocol: str = "text") -> dict[str, Any]:
    """The relay's record, as the contract would have it."""
    addresses = {
        "text": f"http://127.0.0.1:{relay.port}",
        "modbus": f"127.0.0.1:{relay.modbus_port}",
        "iec61850": f"127.0.0.1:{relay.iec61850_port}",
    }
    return {
        "relay": "Rele_1",
        "name": "Relay 1",
        "substation": "Bogotá Electrical Substation - U.D.",
        "protocol": protocol,
        "address": addresses[protocol],
        "utc_offsets": [{"from_minute": 0, "offset_min": 0}],
        "period_s": 60,
        "reading_s": 10,
    }
