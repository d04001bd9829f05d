"""Which PMU measures what: a YAML file that names streams, their PMUs, and what each phasor is of.

    wait_ms: 60
    streams:
      - {name: north, idcode: 7734, address: "192.0.2.7:4712", transport: tcp}
    pmus:
      - {stream: north, station: BUS 4, phasors: {V: {voltage: 4}, LOAD: {load: 4}, I 4-12: {current: [4, 12]}}}

A current ``[4, 12]`` flows from bus 4 into the branch to bus 12, ``[4, 12, 2]`` into the second of parallel ones.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from gridledger.errors import InputError
from gridledger.grid.case import Case
from gridledger.yaml_file import UNREADABLE, refuse_excess
from services.feeder.pmu.client import Source
from services.feeder.pmu.phasors import FROM_END, LOAD, TO_END, VOLTAGE, Quantity
from services.feeder.pmu.server import DEFAULT_DATA_PORT, Transport

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_STREAMS = 1_024
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
_LAST_PORT = 65_535

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measured(_Form):
    """What a phasor is of: exactly one of the members."""

    voltage: int | None = None
    load: int | None = None
    current: Annotated[list[int], Field(min_length=2, max_length=3)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.voltage, self.load, self.current)) != 1:
            raise ValueError("give one of voltage, load and current")
        return self

    def quantity(self, case: Case) -> Quantity:
        """The quantity of the case; InputError names what the case has not."""
        if self.current is not None:
            branch = case.branch(*self.current)
            return Quantity(FROM_END if case.ends(branch)[0] == self.current[0] else TO_END, branch)
        kind, bus = (VOLTAGE, self.voltage) if self.voltage is not None else (LOAD, self.load)
        if bus not in case.position:
            raise InputError(f"{case.name} has no bus {bus}")
        return Quantity(kind, bus)


class StreamForm(_Form):
    """A stream of C37.118."""

    name: Name
    idcode: Annotated[int, Field(ge=0, le=65_535)]
    address: str
    transport: Transport = "tcp"
    data_port: Annotated[int, Field(ge=1, le=_LAST_PORT)] = DEFAULT_DATA_PORT

    def source(self) -> Source:
        """Where the stream is; InputError for an address that is none."""
        match = _ADDRESS.fullmatch(self.address)
        if match is None or not 0 < int(match.group(3)) <= _LAST_PORT:
            raise InputError(f"stream {self.name}: the address {self.address!r} is no HOST:PORT")
        host, port = match.group(1) or match.group(2), int(match.group(3))
        return Source(self.name, self.idcode, host, port, self.transport, self.data_port)


class PmuForm(_Form):
    """A PMU of a stream, found by its station name, and its phasors by their names."""

    stream: Name
    station: Name
    phasors: Annotated[dict[str, Measured], Field(min_length=1, max_length=32_767)]


class Mapping(_Form):
    """The whole file."""

    wait_ms: Annotated[float, Field(gt=0, le=60_000)] = 60.0
    streams: Annotated[list[StreamForm], Field(min_length=1, max_length=MAX_STREAMS)]
    pmus: Annotated[list[PmuForm], Field(min_length=1, max_length=65_535)]

    @model_validator(mode="after")
    def _names(self) -> Self:
        streams = [stream.name for stream in self.streams]
        stations = [(pmu.stream, pmu.station) for pmu in self.pmus]
        for what, names in (("stream", streams), ("PMU", stations)):
            if len(names) != len(set(names)):
                raise ValueError(f"a {what} stands there twice")
        if unknown := {pmu.stream for pmu in self.pmus} - set(streams):
            raise ValueError(f"there is no stream {min(unknown)}")
        return self

    def told(self, case: Case) -> dict[tuple[str, str], dict[str, Quantity]]:
        """By stream and station what each phasor is of. InputError for what the case has not, or what is told twice."""
        told = {
            (pmu.stream, pmu.station): {name: one.quantity(case) for name, one in pmu.phasors.items()}
            for pmu in self.pmus
        }
        seen: set[Quantity] = set()
        for (_, station), quantities in told.items():
            for quantity in quantities.values():
                if quantity in seen:
                    raise InputError(f"the {quantity.kind} at {quantity.at} is told twice, last of {station}")
                seen.add(quantity)
        return told


def read_mapping(path: Path) -> Mapping:
    """The file's mapping. Raises InputError that names the member."""
    return mapping_of(load_yaml(path), path)


def load_yaml(path: Path) -> object:
    """A YAML file's document, bounded."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise InputError(f"{path}: it is longer than {MAX_FILE_BYTES} bytes")
        return _loaded(data.decode(), path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, RecursionError, *UNREADABLE) as error:
        raise InputError(f"{path}: it is no YAML: {error!s:.200}") from None


def _loaded(text: str, path: Path) -> object:
    try:
        refuse_excess(text)
    except InputError as error:
        raise InputError(f"{path}: not YAML that is read: {error.message}") from None
    return yaml.safe_load(text)


def mapping_of(document: object, path: Path) -> Mapping:
    """A document's mapping; ``path`` is for errors."""
    try:
        return Mapping.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{path}: {first_fault(error)}") from None


def first_fault(error: ValidationError) -> str:
    """The first of what pydantic found, with its place."""
    fault = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in fault["loc"]) or "the file"
    return f"{place}: {fault['msg']}"
