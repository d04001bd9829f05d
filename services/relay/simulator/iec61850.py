"""The simulated relay over IEC 61850 (MMS), by the names of :mod:`services.relay.mms_names`.

The package's server keeps numbers and not times, so the time stamps are answered by a callback, on a thread of the
server, and go over the wire as eight octets. Silence and resets are a server that is stopped; a client has no name, so
a two-faced relay tells all of them the same; garbage is numbers that are none (NaN).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import iec61850

from gridledger.errors import PortTaken
from services.relay import mms_names
from services.relay.simulator.relay import SimulatedRelay, Step

SLOW_READ_S = 1.5
"""A slow relay lets each reading of a time stamp wait so long."""
STOP_WITHIN_S = 3.0
_IED = "RELE"
_MODEL = Path(__file__).with_name("relay.icd")
_NO_TIME = bytes(8)


class MmsServer:
    """One relay's server, started anew after each silence."""

    def __init__(self, relay: SimulatedRelay, host: str, port: int) -> None:
        self._relay = relay
        self._host = host
        self.port = port
        self._server: iec61850.IedServer | None = None
        self._values: dict[str, float] = {}
        # Read by threads of the server: replaced as a whole, and none while the values change.
        self._stamp = _NO_TIME
        self._stepped = asyncio.Event()

    def take(self, step: Step) -> None:
        """Put a reading in place of the one before."""
        values = (math.nan,) * len(mms_names.VALUES) if step.broken else step.measured.reading.values
        self._values = dict(zip(mms_names.VALUES, values, strict=True)) | {mms_names.FAULTS: step.faults}
        self._stamp = _NO_TIME
        self._write()
        self._stamp = mms_names.time_bytes(step.measured.second)
        self._stepped.set()

    async def tend(self) -> None:
        """Stop and start the server as the relay's misbehaviour says."""
        while True:
            await self._stepped.wait()
            self._stepped.clear()
            if self._relay.kind in ("silent", "reset"):
                await self.stop()
            if self._relay.kind != "silent" and self._server is None:
                await self.start()

    async def start(self) -> None:
        """Listen; :class:`PortTaken` where another process does."""
        server = iec61850.IedServer.from_scl_str(_MODEL.read_text(), ied_name=_IED)
        server.bind(f"{self._host}:{self.port}")
        for name in mms_names.TIMES:
            server.on_read(f"{mms_names.DEVICE}/{name}", self._read_time)
        try:
            await server.start()
        except (iec61850.IedError, OSError) as error:
            raise PortTaken(f"cannot listen on {self._host}:{self.port} for IEC 61850: {error}") from None
        self.port = int(server.bound_addr.rpartition(":")[2])
        self._server = server
        self._write()

    async def stop(self) -> None:
        """End the server and its connections."""
        server, self._server = self._server, None
        if server is not None:
            # The package tells no bound of its own for this; its threads end with the process.
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_WITHIN_S):
                    await server.stop()

    def _write(self) -> None:
        if self._server is not None:
            for name, value in self._values.items():
                self._server.update_float32(f"{mms_names.DEVICE}/{name}", value)

    def _read_time(self, _: str) -> bytes:
        if self._relay.kind == "slow":
            time.sleep(SLOW_READ_S)  # a thread of the package's own, which asks for one value at a time
        return self._stamp


@asynccontextmanager
async def serving(relay: SimulatedRelay, host: str, port: int) -> AsyncIterator[int]:
    """Serve a relay over MMS; gives the port, which is chosen where ``port`` is 0.

    Raises :class:`PortTaken` where another process listens there.
    """
    server = MmsServer(relay, host, port)
    await server.start()
    relay.listeners.append(server.take)
    tending = asyncio.create_task(server.tend())
    try:
        yield server.port
    finally:
        tending.cancel()
        with suppress(asyncio.CancelledError):
            await tending
        await server.stop()
