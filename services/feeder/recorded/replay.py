"""Replays a recorded table: each row is an instant, whose frames are submitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gridledger.errors import InputError
from services.feeder.clock import Clock
from services.feeder.measured_stream import MeasuredStream
from services.feeder.recorded.columns import RowReader

_LONGEST_PAUSE_S = 3600.0


async def replay(
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    reader: RowReader,
    stream: MeasuredStream,
    *,
    speed: float,
    clock: Clock,
    shift: bool,
) -> Counter[str]:
    """Submit all rows; how many were ``taken`` and how many ``bad`` by their STAT.

    ``speed`` 1 keeps the time between rows, 2 halves it, 0 waits for nothing but room. ``shift``: times are moved so
    that the first is now. Raises InputError, with the row, for a cell that cannot be read and for times that do not
    ascend.
    """
    counts: Counter[str] = Counter()
    first_us, last_us, begun_us, moved_us = -1, -1, clock.now_us(), 0
    for where, row in rows:
        try:
            time_us, good = reader.time_us(row), reader.is_good(row)
            phasors = reader.phasors(row) if good else {}
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"{where}: {error!s:.200}") from None
        if time_us <= last_us:
            raise InputError(f"{where}: its time is not after that of the row before")
        if first_us < 0:
            first_us, moved_us = time_us, begun_us - time_us if shift else 0
        last_us = time_us
        if not good:
            counts["bad"] += 1
            continue
        if speed:
            due_us = begun_us + (time_us - first_us) / speed
            await clock.sleep(min(_LONGEST_PAUSE_S, max(0.0, (due_us - clock.now_us()) / 1e6)))
        await stream.take(time_us + moved_us, phasors, wait=True)
        counts["taken"] += 1
    await stream.drain()
    return counts
