"""The address of a relay's record: whether its protocol can use it, and whether anybody answers there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from yarl import URL

from gridledger.errors import InputError, SettingsError
from services.relay.readers.addresses import host_and_port
from services.relay.readers.c37118 import pmu_at
from services.relay.readers.text import base_of

ANSWER_S: Final = 2.0


def place_of(record: Mapping[str, Any]) -> tuple[str, int]:
    """The host and the port at which a record's relay is read. :class:`InputError` where its protocol has no use for
    the address, which begins with ``address``."""
    try:
        if record["protocol"] == "c37118":
            return pmu_at(dict(record))[:2]
        if record["protocol"] != "text":
            return host_and_port(record)
        url = URL(base_of(record))
    except SettingsError as error:
        told = error.message.removeprefix(f"relay {record['relay']}: ")
        raise InputError(f"address: {told}, which the protocol {record['protocol']} needs") from None
    return url.host or "", url.port or 0


async def why_silent(host: str, port: int, within_s: float = ANSWER_S) -> str | None:
    """Why no connection to a relay comes about from here; None where one does."""
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no answer within {within_s:g} s"
    except OSError as error:
        return error.strerror or str(error)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return None
