"""The sources of a node's devices, by their settings."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from random import Random
from typing import Any

from gridledger.errors import SettingsError
from gridledger.extras import require_extra
from services.lightnode.device_types import kinds_of
from services.lightnode.settings import LightNodeDevice, ModbusSource, PmuSource, Source
from services.lightnode.sources.folder import FolderReader
from services.lightnode.sources.pmu import PmuWatcher, Rows
from services.lightnode.sources.telling import Tell


def source_work(
    device: LightNodeDevice, source: Source, tell: Tell, random: Random, rows: Rows | None
) -> Coroutine[Any, Any, None]:
    """What reads a source until it is cancelled. Raises :class:`SettingsError` for events that the device may not tell,
    and :class:`MissingExtra`."""
    _check(device, source)
    if isinstance(source, ModbusSource):
        require_extra("forensics", f"the Modbus source of {device.device}")
        from services.lightnode.sources.modbus import ModbusWatcher  # noqa: PLC0415 - of the extra

        return ModbusWatcher(device.device, source, tell, random).run()
    if isinstance(source, PmuSource):
        return PmuWatcher(device.device, source, tell, random, rows=rows).run()
    return FolderReader(source, tell).run()


def _check(device: LightNodeDevice, source: Source) -> None:
    told: Iterable[str] = ()
    if isinstance(source, ModbusSource):
        told = ("health", "outage", *(register.event for register in source.registers))
    elif isinstance(source, PmuSource):
        told = ("health", "outage", "alarm", "gps", "batch" if source.batches else "frequency")
    if missing := sorted({*told} - kinds_of(device.type, device.kinds)):
        raise SettingsError(
            f"devices: {device.device}: its source tells events of the kinds {', '.join(missing)}, which its type "
            f"{device.type} does not: name them in kinds"
        )
