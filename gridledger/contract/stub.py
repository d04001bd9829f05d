"""The stub: a transaction's view of the ledger, and the record of what it read and wrote.

As in Fabric, reads see the world state at the snapshot, never the writes of the same transaction; the last write of a
key counts. Values are JSON values; each read parses its own copy, so that changing it changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from gridledger import jsontext
from gridledger.contract import keys
from gridledger.contract.errors import ContractError
from gridledger.contract.reader import StateReader
from gridledger.errors import MalformedJSON
from gridledger.jsontext import MAX_VALUE_DEPTH
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import MAX_RANGES, RangeRead, Read, Version
from gridledger.protocol.world_state import HistoryEntry

MAX_VALUE_BYTES: Final = 1024 * 1024
MAX_WRITTEN_BYTES: Final = 8 * 1024 * 1024
MAX_ACCESSES: Final = 10_000
MAX_NAME_BYTES: Final = 128


@dataclass(slots=True)
class _RangeProgress:
    """How far a range has been read."""

    start: str
    end: str
    seen: list[Read]
    exhausted: bool = False

    def finish(self) -> RangeRead:
        """The range as read; where the contract (or ``limit``) stopped early, it ends right behind the last key."""
        end = self.end if self.exhausted else self.seen[-1].key + keys.NUL
        return RangeRead(self.start, end, tuple(self.seen))


class Stub:
    """Reads and writes of one transaction. The names are Fabric's in snake_case."""

    def __init__(
        self, proposal: Proposal, transient: Mapping[str, Any], reader: StateReader, *, readonly: bool = False
    ) -> None:
        """``transient`` is the data that came beside ``proposal``; ``readonly`` refuses to write."""
        self._proposal = proposal
        self._transient = transient
        self._reader = reader
        self._readonly = readonly
        self._budget = MAX_ACCESSES
        self._written_bytes = 0
        self._reads: dict[str, Version | None] = {}
        self._ranges: list[_RangeProgress] = []
        self._writes: dict[str, bytes | None] = {}
        self._event: tuple[str, bytes] | None = None

    # The call

    def get_tx_id(self) -> str:
        """Id of this transaction: SHA-256 of its proposal, hexadecimal."""
        return self._proposal.tx_id

    def get_channel_id(self) -> str:
        """Name of the channel."""
        return self._proposal.channel

    def get_tx_timestamp(self) -> int:
        """The proposal's time, microseconds since 1970, by the client's clock. A contract sees no other clock."""
        return self._proposal.time_us

    def get_function(self) -> str:
        """Name of the function that was called."""
        return self._proposal.function

    def get_args(self) -> list[Any]:
        """The arguments: JSON values, without the function's name."""
        return list(self._proposal.args)

    def get_function_and_parameters(self) -> tuple[str, list[Any]]:
        """The function's name, and the arguments."""
        return self._proposal.function, list(self._proposal.args)

    def get_creator(self) -> str:
        """The certificate of the client that signed the proposal, DER in base64."""
        return self._proposal.creator

    def get_transient(self) -> dict[str, Any]:
        """Data that came beside the proposal and does not go on the ledger (only its hash does)."""
        return dict(self._transient)

    # World state

    def get_state(self, key: str) -> Any:
        """The value of ``key`` in the snapshot, a fresh copy; None if there is none."""
        keys.check_key(key)
        self._spend()
        stored = self._reader.get(self._proposal.chaincode, key)
        if stored is None:
            self._reads.setdefault(key, None)
            return None
        self._reads.setdefault(key, stored.version)
        return jsontext.loads_trusted(stored.value)

    def put_state(self, key: str, value: Any) -> None:
        """Write ``value``, a JSON value (not None: use :meth:`del_state`), at commit."""
        if value is None:
            raise ContractError(f"put_state({key!r}): null is no value; remove a key by del_state")
        self._write(key, json_text(value, f"the value of {key!r}"))

    def del_state(self, key: str) -> None:
        """Remove ``key`` at commit, whether it is there or not."""
        self._write(key, None)

    def get_state_by_range(self, start: str, end: str, limit: int | None = None) -> Iterator[tuple[str, Any]]:
        """(key, value) with start <= key < end, ascending by UTF-8 bytes, at most ``limit``; "" leaves an end open.

        What the iterator has not reached is not part of what was read, so stop early where you can.
        """
        return self._range(*keys.simple_range(start, end), limit)

    def get_state_by_partial_composite_key(
        self, object_type: str, attributes: Sequence[str] = ()
    ) -> Iterator[tuple[str, Any]]:
        """(key, value) of all composite keys that begin with this object type and these attributes."""
        return self._range(*keys.partial_composite_range(object_type, attributes), None)

    def get_history_for_key(self, key: str) -> Iterator[HistoryEntry]:
        """Committed writes of ``key``, the newest first. They are not validated at commit: for queries only."""
        keys.check_key(key)
        self._spend()
        return self._recall(key)

    def _recall(self, key: str) -> Iterator[HistoryEntry]:
        for entry in self._reader.history(self._proposal.chaincode, key):
            self._spend()
            yield entry

    @staticmethod
    def create_composite_key(object_type: str, attributes: Sequence[str]) -> str:
        """The key of an object of ``object_type`` with ``attributes``, in this order."""
        return keys.create_composite_key(object_type, attributes)

    @staticmethod
    def split_composite_key(key: str) -> tuple[str, list[str]]:
        """Object type and attributes of a composite key."""
        return keys.split_composite_key(key)

    # Event

    def set_event(self, name: str, payload: Any = None) -> None:
        """The transaction's one event, sent to listeners when it commits as valid; a second call replaces the first."""
        if not isinstance(name, str) or not name or len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
            raise ContractError(f"an event's name is a string of 1 to {MAX_NAME_BYTES} bytes")
        # Through text, so that what the contract does to the payload afterwards does not show.
        self._event = name, json_text(payload, f"the payload of event {name!r}")

    # What the transaction did, for the executor

    def collect_reads(self) -> list[Read]:
        """Each key read by itself, once, in the order of reading."""
        return [Read(key, version) for key, version in self._reads.items()]

    def collect_ranges(self) -> list[RangeRead]:
        """Each range read, as far as it was read."""
        return [record.finish() for record in self._ranges if record.exhausted or record.seen]

    def collect_writes(self) -> list[tuple[str, bytes | None]]:
        """The last write of each key, in the order of first writing: the value's JSON text, None to delete."""
        return list(self._writes.items())

    def collect_event(self) -> tuple[str, bytes] | None:
        """The event set, if any: its name, and its payload's JSON text."""
        return self._event

    # Inside

    def _write(self, key: str, text: bytes | None) -> None:
        keys.check_key(key)
        if self._readonly:
            raise ContractError(f"{self._proposal.function} is a query (readonly=True) and cannot write {key!r}")
        self._spend()
        self._written_bytes += len(text or b"")
        if self._written_bytes > MAX_WRITTEN_BYTES:
            raise ContractError(f"one transaction writes at most {MAX_WRITTEN_BYTES} bytes")
        self._writes[key] = text

    def _range(self, start: str, end: str, limit: int | None) -> Iterator[tuple[str, Any]]:
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
            raise ContractError("the limit of a range is an integer, 0 or more")
        self._spend()
        return self._walk(start, end, limit)

    def _walk(self, start: str, end: str, limit: int | None) -> Iterator[tuple[str, Any]]:
        if limit == 0:
            return
        if len(self._ranges) == MAX_RANGES:
            raise ContractError(f"one transaction reads at most {MAX_RANGES} ranges")
        record = _RangeProgress(start, end, [])
        self._ranges.append(record)
        for key, value, version in self._reader.range(self._proposal.chaincode, start, end, limit):
            self._spend()
            record.seen.append(Read(key, version))
            yield key, jsontext.loads_trusted(value)
            if len(record.seen) == limit:
                return
        record.exhausted = True

    def _spend(self) -> None:
        self._budget -= 1
        if self._budget < 0:
            raise ContractError(f"one transaction makes at most {MAX_ACCESSES} reads and writes")


def json_text(value: Any, what: str) -> bytes:
    """The JSON text of a value that a contract hands over; :class:`ContractError` names ``what`` it cannot be.

    Dataclasses are written as objects.
    """
    try:
        text = jsontext.dumps(value)
    except MalformedJSON:
        try:
            value = _without_dataclasses(value, MAX_VALUE_DEPTH)
            text = jsontext.dumps(value)
        except MalformedJSON as error:
            raise ContractError(f"{what} {error.message}") from None
    if len(text) > MAX_VALUE_BYTES:
        raise ContractError(f"{what} takes {len(text)} bytes, the bound is {MAX_VALUE_BYTES}")
    # Fewer brackets than levels allowed: then it cannot be too deep, and most values are done here.
    if text.count(b"[") + text.count(b"{") > MAX_VALUE_DEPTH and _deeper_than(value, MAX_VALUE_DEPTH):
        raise ContractError(f"{what} is nested deeper than {MAX_VALUE_DEPTH} levels")
    return text


def _without_dataclasses(value: Any, levels: int) -> Any:
    """The same value with an object for each dataclass, as deep as ``levels``."""
    if levels == 0:
        return value
    if isinstance(value, list | tuple):
        return [_without_dataclasses(item, levels - 1) for item in value]
    if isinstance(value, dict):
        return {name: _without_dataclasses(item, levels - 1) for name, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _without_dataclasses(getattr(value, each.name), levels - 1) for each in fields(value)}
    return value


def _deeper_than(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return False
    return levels == 0 or any(_deeper_than(item, levels - 1) for item in value)
