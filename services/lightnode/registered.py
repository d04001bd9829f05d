"""Whether devices are registered, by the registry's filter of the epoch: its no is sure, its yes is not.

A no counts for a device that is not among those registered since the epoch began either. The filter is kept in a file,
so that a node that was cut off knows what it knew before.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from gridledger.errors import CorruptionError, GridLedgerError, MalformedMessage
from gridledger.evidence.bloom import Bloom
from gridledger.files import write_atomically
from gridledger.formats import Format
from gridledger.protocol.fields import integer_of, list_of, object_of, text_of
from gridledger.sealed import seal, unseal
from services.lightnode.journal import InThread

MAX_SINCE: Final = 100_000
_MAX_PART: Final = 1024 * 1024
_FORMAT: Final = Format("the filter of registered devices", 1)

Registered = Literal["no", "perhaps", "unknown"]

_log = logging.getLogger(__name__)


class Registry(Protocol):
    """The contract ``registry``."""

    async def filter(self, **asked: Any) -> dict[str, Any]:
        """GetFilter."""


class RegisteredDevices:
    """The newest filter that is known."""

    def __init__(self, registry: Registry, path: Path, in_thread: InThread = asyncio.to_thread) -> None:
        self._registry = registry
        self._path = path
        self._in_thread = in_thread
        self._filter: Bloom | None = None
        self._since: frozenset[str] = frozenset()
        self.epoch: int | None = None
        self._load()

    def tell(self, device: str) -> Registered:
        """Whether a device is registered: surely not, perhaps, or unknown while no filter is known."""
        if self._filter is None:
            return "unknown"
        return "perhaps" if device in self._filter or device in self._since else "no"

    async def follow(self, every_s: float) -> None:
        """Ask for the filter from time to time, until this is cancelled."""
        while True:
            try:
                await self.look()
            except GridLedgerError as error:
                _log.debug("the filter cannot be asked for", extra={"why": error.message})
            await asyncio.sleep(every_s)

    async def look(self) -> None:
        """Ask for the newest filter, and for the devices registered since."""
        head = object_of(await self._registry.filter(), "a filter")
        epoch = integer_of(head, "epoch")
        bits = self._filter.bits if self._filter is not None and epoch == self.epoch else await self._bits(head, epoch)
        since, bookmark = list(list_of(head, "since", max_length=MAX_SINCE)), head.get("bookmark")
        while bookmark is not None:
            page = object_of(await self._registry.filter(epoch=epoch, bookmark=bookmark), "a filter")
            since += list_of(page, "since", max_length=MAX_SINCE)
            if len(since) > MAX_SINCE:
                raise MalformedMessage(f"over {MAX_SINCE} devices since the filter: a registrar publishes one")
            bookmark = page.get("bookmark")
        self._take(epoch, integer_of(head, "m"), integer_of(head, "k"), bits, since)
        await self._in_thread(self._save)

    async def _bits(self, head: dict[str, Any], epoch: int) -> bytes:
        parts: list[bytes] = []
        for part in range(integer_of(head, "parts", minimum=1, maximum=64)):
            page = object_of(await self._registry.filter(epoch=epoch, part=part), "a filter")
            try:
                parts.append(binascii.a2b_base64(text_of(page, "bits", max_length=_MAX_PART), strict_mode=True))
            except ValueError:
                raise MalformedMessage("the filter's bits are not base64") from None
        bits = b"".join(parts)
        if sha256(bits).hexdigest() != text_of(head, "bits_sha256"):
            raise MalformedMessage("the filter's parts are not those that its hash names")
        return bits

    def _take(self, epoch: int, m: int, k: int, bits: bytes, since: list[Any]) -> None:
        self._filter = Bloom(m, k, bits)
        self._since = frozenset(str(name) for name in since)
        self.epoch = epoch

    def _save(self) -> None:
        if self._filter is None:
            return
        message = {
            "epoch": self.epoch,
            "m": self._filter.m,
            "k": self._filter.k,
            "bits": base64.b64encode(self._filter.bits).decode("ascii"),
            "since": sorted(self._since),
        }
        write_atomically(self._path, seal(_FORMAT, message), mode=0o600)

    def _load(self) -> None:
        if not self._path.exists():
            return
        try:
            known = unseal(_FORMAT, self._path.read_bytes(), self._path, "it is asked for again")
            bits = binascii.a2b_base64(known["bits"])
            self._take(known["epoch"], known["m"], known["k"], bits, known["since"])
        except (CorruptionError, KeyError, ValueError, GridLedgerError) as error:
            _log.warning("the filter that was kept cannot be read", extra={"why": str(error)})
