"""What packages take from light nodes: rows and files of batches, and bodies that stay off the ledger.

Nothing of it is believed: each part is compared with what the ledger has before it goes into a package. What no node
gives, or gives wrong, is left out and told in the manifest (``about.missing``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, Protocol

from gridledger.errors import GridLedgerError, LimitError, UnavailableError
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.events import salted_hash
from gridledger.evidence.off_chain import MAX_BODY, MAX_HASHES, MAX_ROW, MAX_ROWS, SALT_DIGITS, Body, RowPart
from gridledger.evidence.package import Package
from gridledger.evidence.rows import row_holds
from gridledger.evidence.told import FUNCTIONS, ToldBatch, ToldEvent, told_events
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.fields import exactly, integer_of, list_of, object_of, text_of, value_of
from gridledger.protocol.transaction import Transaction
from gridledger.transport.node_client import path_of
from services.case.questions import BLOCK, BODIES, FILES, ROWS, Question, Scope
from services.case.rows import Row

MAX_FILE_BYTES: Final = 128 * 1024 * 1024
"""Of all files of rows in one package."""
MAX_TOLD: Final = 100
"""Missing parts that a manifest names; it counts all."""
_PAGE: Final = 1000
_MAX_WHY: Final = 200


class LightNodes(Protocol):
    """The light nodes of a network, each asked for its own devices. Errors are the SDK's; UnavailableError where no
    node that answers speaks for a device."""

    async def get(self, device: str, path: str, params: Mapping[str, str]) -> bytes:
        """What the device's node answers."""

    async def get_json(self, device: str, path: str, params: Mapping[str, str]) -> Any:
        """The same, as JSON."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An event of the ledger of which a part is wanted."""

    channel: str
    event: ToldEvent

    @property
    def path(self) -> str:
        kind = "batches" if self.event.batch is not None else "events"
        return path_of(kind, str(self.event.seq))


@dataclass(slots=True)
class _Found:
    """What was given by now, and what was not, by event and why."""

    rows: list[RowPart] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    bodies: list[Body] = field(default_factory=list)
    missing: list[dict[str, Any]] = field(default_factory=list)


async def with_parts(
    package: Package, rows: Sequence[Row], question: Question, scope: Scope, nodes: LightNodes
) -> Package:
    """``package`` with the parts that ``question`` asks for, of the events that ``rows`` tell of and of no others.

    Rows of a batch are those of the question's time, and of the scope's; a file is taken only where all of it is of the
    scope's time. Raises LimitError where there are more than a package takes.
    """
    found = _Found()
    collecting = _Collecting(nodes, _span(question, scope), scope, found)
    by_device: dict[str, list[_Wanted]] = {}
    for wanted in _wanted(package, rows):
        by_device.setdefault(wanted.event.device, []).append(wanted)
    for each in by_device.values():
        await collecting.of_device(each, question.parts or ())
    about = dict(package.about)
    if found.missing:
        about |= {"missing": found.missing[:MAX_TOLD], "missing_count": len(found.missing)}
    return replace(
        package,
        rows=tuple(sorted(found.rows, key=lambda row: row.place)),
        bodies=tuple(found.bodies),
        attachments=found.files,
        about=about,
    )


def _span(question: Question, scope: Scope) -> tuple[int, int]:
    """The time of the rows that are taken."""
    if question.by == BLOCK:  # the question's time is that of blocks, and says nothing of rows'
        return scope.bounds
    begin, end = question.from_us, question.to_us
    return max(begin or 0, scope.from_us), scope.to_us if end is None else min(end, scope.to_us)


def _wanted(package: Package, rows: Sequence[Row]) -> list[_Wanted]:
    """The batches, and the events whose bodies are off the chain, that the rows tell of, each once, in their order."""
    found: dict[tuple[str, str, int], _Wanted] = {}
    for row in rows:
        for event in _events(package, row):
            if (event.device, event.seq) == (row.device, row.seq) and (event.batch or event.is_off_chain):
                found[(row.channel, event.device, event.seq)] = _Wanted(row.channel, event)
    return list(found.values())


def _events(package: Package, row: Row) -> list[ToldEvent]:
    part = package.channels[row.channel].blocks.get(row.block) if row.channel in package.channels else None
    message = None if part is None else parse_envelope(part.block.envelopes[row.position])
    if not isinstance(message, Transaction):
        return []
    proposal = message.proposal
    if package.roles.sections.get(row.channel) != proposal.chaincode or proposal.function not in FUNCTIONS:
        return []
    return told_events(proposal.function, proposal.args)


class _Collecting:
    """One collection: what it finds goes into ``found``."""

    def __init__(self, nodes: LightNodes, span: tuple[int, int], scope: Scope, found: _Found) -> None:
        self._nodes = nodes
        self._span = span
        self._scope = scope
        self._found = found

    async def of_device(self, wanted: Sequence[_Wanted], parts: Sequence[str]) -> None:
        """The parts of one device's events. A node that is away is not asked again for each."""
        away: UnavailableError | None = None
        for each in wanted:
            for part in parts:
                if (part == BODIES) == (each.event.batch is not None):
                    continue
                try:
                    if away is not None:
                        raise away
                    await self._take(each, part)
                except LimitError:
                    raise
                except GridLedgerError as error:
                    away = error if isinstance(error, UnavailableError) else None
                    self._miss(each, part, error)

    async def _take(self, wanted: _Wanted, part: str) -> None:
        batch = wanted.event.batch
        if batch is None:
            await self._body(wanted)
        elif part == ROWS:
            await self._rows(wanted, batch)
        elif part == FILES:
            await self._file(wanted, batch)

    async def _rows(self, wanted: _Wanted, batch: ToldBatch) -> None:
        event = wanted.event
        start: int | None = 0
        begin, end = max(self._span[0], batch.from_us), min(self._span[1], batch.to_us)
        taken: list[RowPart] = []
        while begin < end and start is not None:
            params = {"device": event.device, "from_us": str(begin), "to_us": str(end), "start": str(start)}
            answer = object_of(await self._nodes.get_json(event.device, f"{wanted.path}/rows", params), "rows")
            taken += [self._row(wanted, batch, item) for item in list_of(answer, "rows", max_length=_PAGE)]
            following = value_of(answer, "next")
            if following is not None and not (type(following) is int and start < following < batch.rows):
                raise EvidenceError("next", "is no later row of the batch")
            start = following
            if len(self._found.rows) + len(taken) > MAX_ROWS:
                raise LimitError(f"the package would have more than {MAX_ROWS} rows: name devices, or a shorter time")
        self._found.rows += taken

    def _row(self, wanted: _Wanted, batch: ToldBatch, value: Any) -> RowPart:
        message = exactly(value, frozenset(("index", "row", "path")), "a row")
        index, row = integer_of(message, "index"), text_of(message, "row", max_length=MAX_ROW)
        path = list_of(message, "path", max_length=MAX_HASHES)
        if not all(isinstance(node, str) for node in path) or not row_holds(
            row.encode(), index, batch.rows, path, batch.root
        ):
            raise EvidenceError("rows", f"row {index} is not what the batch's root is over")
        event = wanted.event
        return RowPart(wanted.channel, event.device, event.seq, index, row, tuple(map(bytes.fromhex, path)))

    async def _file(self, wanted: _Wanted, batch: ToldBatch) -> None:
        event = wanted.event
        if not self._scope.from_us <= batch.from_us < batch.to_us <= self._scope.to_us:
            raise EvidenceError("file", "it has rows beyond the case's time: take rows of it")
        data = await self._nodes.get(event.device, f"{wanted.path}/file", {"device": event.device})
        if sha256(data).hexdigest() != batch.sha256:
            raise EvidenceError("file", "it is not the one whose SHA-256 the ledger has")
        if sum(map(len, self._found.files.values())) + len(data) > MAX_FILE_BYTES:
            raise LimitError(
                f"the package would have files of more than {MAX_FILE_BYTES} bytes: name devices, or a shorter time"
            )
        self._found.files[f"{wanted.channel}/{event.device}/{event.seq:012d}.parquet"] = data

    async def _body(self, wanted: _Wanted) -> None:
        event = wanted.event
        answer = await self._nodes.get_json(event.device, f"{wanted.path}/body", {"device": event.device})
        message = object_of(answer, "a body")
        salt = text_of(message, "salt", max_length=SALT_DIGITS)
        body = text_of(message, "body", max_length=MAX_BODY, empty=True)
        try:
            is_it = salted_hash(bytes.fromhex(salt), body) == event.body_sha256 and len(salt) == SALT_DIGITS
        except ValueError:
            is_it = False
        if not is_it:
            raise EvidenceError("body", "it is not the one that the ledger has the hash of")
        self._found.bodies.append(Body(wanted.channel, event.device, event.seq, salt.lower(), body))

    def _miss(self, wanted: _Wanted, part: str, error: GridLedgerError) -> None:
        event = wanted.event
        self._found.missing.append(
            {
                "channel": wanted.channel,
                "device": event.device,
                "seq": event.seq,
                "part": part,
                "code": error.code,
                "why": error.message[:_MAX_WHY],
            }
        )
