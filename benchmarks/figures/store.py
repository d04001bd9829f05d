"""Finished points: a JSON file each, written whole or not at all, so that a run that was stopped goes on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.figures.sweeps import Point
from benchmarks.measure.machine import Machine
from benchmarks.measure.results import Load
from gridledger.errors import ConflictError, InputError
from gridledger.files import write_atomically


class Basis(BaseModel):
    """What must be the same for points to belong into one figure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    commit: str
    processor: str
    cores: int
    python: str
    seconds_per_point: float
    quick: bool

    @classmethod
    def of(cls, machine: Machine, *, seconds_per_point: float, quick: bool) -> Basis:
        """The basis of a run on a machine."""
        return cls(
            commit=machine.commit,
            processor=machine.processor,
            cores=machine.cores,
            python=machine.python,
            seconds_per_point=seconds_per_point,
            quick=quick,
        )


class Measured(BaseModel):
    """A point and what was measured, or why nothing was; ``took_s``: from its begin until the next could begin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sweep: str
    topology: str
    x: int
    asked: int
    transactions: int
    basis: Basis
    took_s: float
    load: Load | None = None
    failure: str | None = None

    @classmethod
    def of(cls, point: Point, basis: Basis, *, took_s: float, load: Load | None, failure: str | None) -> Measured:
        """What became of a point."""
        return cls(
            sweep=point.sweep,
            topology=point.topology,
            x=point.x,
            asked=point.asked,
            transactions=point.transactions,
            basis=basis,
            took_s=took_s,
            load=load,
            failure=failure,
        )


@dataclass(frozen=True, slots=True)
class Store:
    """The folder of points: one folder for each sweep, in it TOPOLOGY-X.json."""

    folder: Path

    def save(self, measured: Measured) -> None:
        """Write one, in place of an earlier one."""
        path = self._path(measured.sweep, measured.topology, measured.x)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, measured.model_dump_json(indent=1).encode())

    def read(self, point: Point) -> Measured | None:
        """What was measured at a point, failures included; None if it was not."""
        path = self._path(point.sweep, point.topology, point.x)
        try:
            return Measured.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise InputError(f"{path} holds no point of this version: remove it, or start over with --fresh") from error

    def done(self, points: list[Point]) -> dict[Point, Measured]:
        """Those of the points that are measured and did not fail."""
        found = {point: self.read(point) for point in points}
        return {point: measured for point, measured in found.items() if measured and measured.load}

    def check(self, points: list[Point], basis: Basis, *, keep: bool) -> list[str]:
        """What differs between the points' bases and this run's, in words; ConflictError unless told to keep them."""
        differences = []
        for measured in self.done(points).values():
            theirs, ours = measured.basis.model_dump(), basis.model_dump()
            differences += [f"{name} {theirs[name]} beside {ours[name]}" for name in ours if theirs[name] != ours[name]]
        unique = list(dict.fromkeys(differences))
        if unique and not keep:
            raise ConflictError(
                f"points in {self.folder} were measured under other conditions ({'; '.join(unique)}): "
                "start over with --fresh, or use them as they are with --keep"
            )
        return unique

    def clear(self) -> None:
        """Forget all points."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, sweep: str, topology: str, x: int) -> Path:
        return self.folder / sweep / f"{topology}-{x}.json"
