"""Reads one PMU by IEEE C37.118.2 over TCP into captures. The address is ``HOST:PORT/IDCODE``.

A stream has the running values and no captures: each reading must be seen (:mod:`.watching`). A reading is what the PMU
measured at a whole second that ``reading_s`` divides, by the PMU's time, so that every server takes the same ones.
Faults are the triggers (bit 11 of STAT) that began in the minute. Of a stream with several PMUs the first is read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any, Final

from gridledger.errors import SettingsError
from gridledger.field.c37118 import (
    Command,
    CommandFrame,
    Configuration,
    DataFrame,
    FrameDecoder,
    FrameError,
    FrameTime,
    encode_command,
)
from gridledger.field.cutter import Cutter
from services.relay.readers.addresses import host_and_port, joined
from services.relay.readers.errors import LATE, RelayUnreachable
from services.relay.readers.minute_watch import Minute, Seen
from services.relay.readers.pmu_values import ThreePhases, three_phases
from services.relay.readers.reader import ANSWER_S
from services.relay.readers.watching import WatchingReader

_READ_BYTES: Final = 65_536
_MINUTE_S: Final = 60
_MAX_MINUTES: Final = 10_000
"""With faults, whose count is kept."""
_LAST_IDCODE: Final = 65_535
_NO_TIME: Final = FrameTime(0, 0)
"""Of a command, which devices do not look at."""


def pmu_at(record: dict[str, Any]) -> tuple[str, int, int]:
    """Host, port and IDCODE of a relay's address; :class:`SettingsError` where it is none."""
    address, _, idcode = record["address"].partition("/")
    if not idcode.isascii() or not idcode.isdigit() or int(idcode) > _LAST_IDCODE:
        raise SettingsError(f"relay {record['relay']}: the address {record['address']!r} is no HOST:PORT/IDCODE")
    return *host_and_port({**record, "address": address}), int(idcode)


class PmuReader(WatchingReader):
    """The reader of a relay that is a PMU."""

    spoken = "C37.118"

    def __init__(self, record: dict[str, Any], *, answer_s: float = ANSWER_S) -> None:
        self._host, self._port, self._idcode = pmu_at(record)
        super().__init__(record, joined(self._host, self._port), answer_s=answer_s)
        self._phases: tuple[Configuration, ThreePhases] | None = None
        self._faults: Counter[int] = Counter()
        """By the minute in which they began."""
        self._triggered = False

    async def _watch_once(self) -> None:
        try:
            async with asyncio.timeout(self._answer_s):
                reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                await self._read(reader, writer)
            finally:
                writer.close()
        except TimeoutError:
            why = f"the relay at {self._address} sent nothing of use within {self._answer_s:g} s"
            raise RelayUnreachable(why, brief=LATE) from None
        except OSError as error:
            raise RelayUnreachable(f"the relay at {self._address} cannot be reached: {error!s:.200}") from None

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cutter, decoder = Cutter(idcode=self._idcode), FrameDecoder()
        self._command(writer, Command.DATA_OFF)
        self._command(writer, Command.SEND_CFG2)
        announced, has_begun = False, False
        while True:
            async with asyncio.timeout(self._answer_s):
                frames = cutter.feed(await self._some(reader))
                while not frames:
                    frames = cutter.feed(await self._some(reader))
            for frame in frames:
                with suppress(FrameError):  # such as data that came before the configuration
                    found = decoder.decode(frame)
                    if isinstance(found, DataFrame):
                        changes = found.pmus[0].stat.config_changes
                        if changes != announced:
                            announced = changes
                            self._command(writer, Command.SEND_CFG2)
                        self._take_data(decoder.codecs[self._idcode].config, found)
                    elif isinstance(found, Configuration) and not has_begun:
                        has_begun = True
                        self._command(writer, Command.DATA_ON)

    def _take_data(self, config: Configuration, data: DataFrame) -> None:
        pmu = data.pmus[0]
        if self._phases is None or self._phases[0] is not config:
            phases = three_phases(config.pmus[0])
            if phases is None:
                raise self._bad("its first PMU has no three voltages and three currents")
            self._phases = (config, phases)
        if pmu.stat.triggered and not self._triggered:
            self._count_fault(data.time.soc // _MINUTE_S)
        self._triggered = pmu.stat.triggered
        second = data.time.soc
        if data.time.fraction or second % self._record["reading_s"] or second == self._watch.last_second:
            return
        values = self._phases[1].values(pmu)
        if values is not None:
            self._take(Seen(second, values, 0.0))

    def _count_fault(self, minute: int) -> None:
        self._faults[minute] += 1
        if len(self._faults) > _MAX_MINUTES:
            del self._faults[min(self._faults)]

    def _faults_in(self, minute: Minute) -> float:
        minutes = range(minute.minute, minute.minute + self._record["period_s"] // _MINUTE_S)
        return float(sum(self._faults.pop(one, 0) for one in minutes))

    def _command(self, writer: asyncio.StreamWriter, code: Command) -> None:
        writer.write(encode_command(CommandFrame(self._idcode, _NO_TIME, code)))

    async def _some(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(_READ_BYTES)
        if not data:
            raise RelayUnreachable(f"the relay at {self._address} ended the connection")
        return data
