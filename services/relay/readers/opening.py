"""Which reader a relay's protocol has."""

from __future__ import annotations

from typing import Any

from gridledger.errors import SettingsError
from gridledger.extras import require_extra
from services.relay.readers.c37118 import PmuReader
from services.relay.readers.reader import ANSWER_S, Reader
from services.relay.readers.text import TextReader


def open_reader(record: dict[str, Any], server: str, *, answer_s: float = ANSWER_S) -> Reader:
    """The reader of a registered relay. ``record`` is the contract's, ``server`` our id, which the relay is told.

    ``answer_s`` bounds one answer of the relay. Raises :class:`SettingsError` for a protocol or an address that
    cannot be used.
    """
    match record["protocol"]:
        case "text":
            return TextReader(record, server, answer_s=answer_s)
        case "modbus":
            require_extra("relay", f"reading {record['relay']} by Modbus")
            from services.relay.readers.modbus import ModbusReader  # noqa: PLC0415 - a package of an extra

            return ModbusReader(record, answer_s=answer_s)
        case "iec61850":
            require_extra("relay", f"reading {record['relay']} by IEC 61850")
            from services.relay.readers.iec61850 import MmsReader  # noqa: PLC0415 - a package of an extra

            return MmsReader(record, answer_s=answer_s)
        case "c37118":
            return PmuReader(record, answer_s=answer_s)
        case other:
            raise SettingsError(f"relay {record['relay']}: the protocol {other} is not read")
