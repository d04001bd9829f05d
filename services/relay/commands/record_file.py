"""A relay's registration: a YAML file with exactly the members of its record. Reading it needs no ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridledger.errors import InputError
from services.relay.commands.files import read_bytes

MAX_BYTES: Final = 65_536

_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"
_DEEPEST: Final = 8


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Offset(_Part):
    from_minute: Annotated[int, Field(ge=0)]
    offset_min: int


class _Server(_Part):
    id: Annotated[str, Field(pattern=_ID)]
    mspid: Annotated[str, Field(min_length=1)]


Measure = Literal["Vab", "Vbc", "Vca", "Ia", "Ib", "Ic", "F", "FP", "P", "Q"]


class _Record(_Part):
    """The form of a record; what its members must be to each other is the contract's to say."""

    relay: Annotated[str, Field(pattern=_ID)]
    name: Annotated[str, Field(min_length=1)]
    substation: Annotated[str, Field(min_length=1)]
    protocol: Literal["text", "modbus", "iec61850"]
    address: Annotated[str, Field(min_length=1, max_length=256)]
    utc_offsets: Annotated[list[_Offset], Field(min_length=1)]
    period_s: Annotated[int, Field(ge=1)]
    reading_s: Annotated[int, Field(ge=1)]
    servers: Annotated[list[_Server], Field(min_length=1)]
    quorum: Annotated[int, Field(ge=1)]
    limits: dict[Measure, Annotated[list[float], Field(min_length=2, max_length=2)]] | None = None
    nominal_hz: Literal[50, 60] | None = None
    max_age_s: Annotated[int, Field(ge=1)] | None = None


class RecordFile:
    """A record as the file has it, and the line of each of its members."""

    def __init__(self, record: dict[str, Any], lines: Mapping[str, int]) -> None:
        self.record = record
        self._lines = lines

    def line_of(self, field: str) -> int | None:
        """The line of a member, as ``servers.0.id``, or of the nearest one around it that the file has."""
        parts = field.split(".")
        known = (self._lines.get(".".join(parts[:count])) for count in range(len(parts), 0, -1))
        return next(filter(None, known), None)


def read_record(path: Path) -> RecordFile:
    """Read a registration. :class:`InputError`, which names the field and its line, where the form does not hold."""
    data = read_bytes(path, MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: a registration has at most {MAX_BYTES} bytes")
    try:
        return parse_record(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: bytes: not UTF-8 at byte {error.start}") from None
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from None


def parse_record(text: str) -> RecordFile:
    """As :func:`read_record`, of a text."""
    try:
        _refuse_aliases(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines_of(node, "", 0)) if node is not None else {}
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{where}not YAML: {getattr(error, 'problem', None) or error}") from None
    except RecursionError:
        raise InputError("not a record: nested too deeply") from None
    except ValueError as error:  # a date that is none, a number of thousands of digits
        raise InputError(f"not a record: {error}") from None
    if not isinstance(value, dict):
        raise InputError("line 1: a registration is a mapping: relay, name, substation, ...")
    file = RecordFile(value, lines)
    try:
        _Record.model_validate(value)
    except ValidationError as error:
        raise InputError(_told(error, file)) from None
    return file


def _refuse_aliases(text: str) -> None:
    """Aliases of aliases make a small file a value without bound; a registration needs none."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            where = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
            raise InputError(f"{where}*{event.anchor} is an alias: write the value out")


def _lines_of(node: yaml.Node, path: str, depth: int) -> Iterator[tuple[str, int]]:
    """The line (from 1) of every member, by its path."""
    if depth > _DEEPEST:
        raise InputError(f"{path}, line {node.start_mark.line + 1}: nested too deeply")
    children: list[tuple[str, int, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(str(key.value), key.start_mark.line, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(index), item.start_mark.line, item) for index, item in enumerate(node.value)]
    seen: set[str] = set()
    for name, line, child in children:
        where = f"{path}.{name}".lstrip(".")
        if name in seen:
            raise InputError(f"{where}, line {line + 1}: is given twice")
        seen.add(name)
        yield where, line + 1
        yield from _lines_of(child, where, depth + 1)


def _told(error: ValidationError, file: RecordFile) -> str:
    """The first fault in one line: field, line, why."""
    fault = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in fault["loc"] if part != "[key]")
    line = file.line_of(field)
    why = {"missing": "is missing", "extra_forbidden": "is unknown"}.get(fault["type"], fault["msg"])
    if fault["type"] == "string_type" and isinstance(fault["input"], int | float):
        why = f'must be a text: write "{fault["input"]}" in quotes'
    return f"{field}, line {line}: {why}" if line else f"{field}: {why}"
