"""Reads a relay over IEC 61850 (MMS), by the names of :mod:`services.relay.mms_names`.

MMS has the running values and no captures: each reading must be seen (:mod:`.watching`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

import iec61850

from services.relay import mms_names
from services.relay.readers.addresses import host_and_port, joined
from services.relay.readers.errors import LATE, RelayUnreachable
from services.relay.readers.minute_watch import Seen
from services.relay.readers.reader import ANSWER_S
from services.relay.readers.watching import WatchingReader

POLLS_IN_A_READING = 100
"""How often the time stamp is looked at between two readings of the relay."""
_LEAVE_S = 1.0
_T = TypeVar("_T")


class MmsReader(WatchingReader):
    """The reader of a relay whose address is ``HOST:PORT``. It watches from the first call until it is closed."""

    spoken = "IEC 61850"

    def __init__(self, record: dict[str, Any], *, answer_s: float = ANSWER_S) -> None:
        super().__init__(record, joined(*host_and_port(record)), answer_s=answer_s)

    async def _watch_once(self) -> None:
        timeout_ms = max(1, round(self._answer_s * 1000))
        connection = await self._asked(
            iec61850.IedConnection.connect(self._address, timeout_ms=timeout_ms, request_timeout_ms=timeout_ms)
        )
        try:
            device = await self._device(connection)
            while True:
                seen = await self._reading(connection, device)
                if seen is not None:
                    self._take(seen)
                await asyncio.sleep(self._record["reading_s"] / POLLS_IN_A_READING)
        finally:
            with suppress(Exception):  # it may be gone already
                async with asyncio.timeout(_LEAVE_S):
                    await connection.abort()

    async def _device(self, connection: iec61850.IedConnection) -> str:
        """The logical device's name as the relay has it: that of the device behind its own."""
        names = [name for name in await self._asked(connection.get_server_directory()) if isinstance(name, str)]
        found = [name for name in names if name.endswith(mms_names.DEVICE)]
        if len(found) != 1:
            raise self._bad(f"it has {len(found)} logical devices whose names end with {mms_names.DEVICE}, not one")
        return found[0]

    async def _reading(self, connection: iec61850.IedConnection, device: str) -> Seen | None:
        """The running reading, where it is another one than the last that was seen and did not change meanwhile."""

        async def stamp(name: str) -> int | None:
            return mms_names.second_of(await self._asked(connection.read(f"{device}/{name}", iec61850.FC.MX)))

        second = await stamp(mms_names.FIRST_TIME)
        if second is None or second == self._watch.last_second:
            return None
        numbers = [
            await self._asked(connection.read_float(f"{device}/{name}", iec61850.FC.MX))
            for name in (*mms_names.VALUES, mms_names.FAULTS)
        ]
        for name in reversed(mms_names.TIMES):
            if await stamp(name) != second:
                return None
        return Seen(second, tuple(numbers[:-1]), numbers[-1])

    async def _asked(self, answer: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self._answer_s):
                return await answer
        except (TimeoutError, iec61850.IedTimeoutError):
            why = f"the relay at {self._address} gave no answer within {self._answer_s:g} s"
            raise RelayUnreachable(why, brief=LATE) from None
        except (iec61850.IedDataAccessError, ValueError, TypeError, OverflowError) as error:
            raise self._bad(f"{error!s:.200}") from None
        except iec61850.IedError as error:  # the connection is of no more use, whatever the device meant by it
            raise RelayUnreachable(f"the relay at {self._address} cannot be reached: {error!s:.200}") from None
