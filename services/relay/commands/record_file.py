"""A relay's registration: a YAML file with exactly the members of its record. Reading it needs no ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from gridledger.errors import InputError
from gridledger.yaml_file import YamlFile, parse_yaml, read_text

MAX_BYTES: Final = 65_536

_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"
_WHAT: Final = "a registration"


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
    protocol: Literal["text", "modbus", "iec61850", "c37118"]
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

    def __init__(self, file: YamlFile) -> None:
        self.record = file.members
        self.line_of = file.line_of


def read_record(path: Path) -> RecordFile:
    """Read a registration. :class:`InputError`, which names the field and its line, where the form does not hold."""
    text = read_text(path, what=_WHAT, most=MAX_BYTES)
    try:
        return parse_record(text)
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from None


def parse_record(text: str) -> RecordFile:
    """As :func:`read_record`, of a text."""
    file = parse_yaml(text, what=_WHAT, members="relay, name, substation")
    file.check_form(_Record)
    return RecordFile(file)
