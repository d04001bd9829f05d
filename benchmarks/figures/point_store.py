"""The store of measured points: a JSON file for each, so that a run that was stopped can be continued."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from benchmarks.figures.sweeps import Point
from benchmarks.load.plan import StrictModel
from benchmarks.measure.machine import Machine
from benchmarks.measure.results import Load
from gridledger.errors import ConflictError, InputError
from gridledger.files import write_atomically


class Basis(StrictModel):
    """The conditions that must be the same for all points of a figure."""

    commit: str
    processor: str
    cores: int
    python: str
    seconds_per_point: float
    quick: bool

    @classmethod
    def of(cls, machine: Machine, *, seconds_per_point: float, quick: bool) -> Basis:
        """The basis of a run on a machine."""
        named = {name: getattr(machine, name) for name in ("commit", "processor", "cores", "python")}
        return cls(**named, seconds_per_point=seconds_per_point, quick=quick)


class MeasuredPoint(StrictModel):
    """A point with its load, or with the reason of its failure. ``took_s`` is the time until the next could begin."""

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
    def of(cls, point: Point, basis: Basis, *, took_s: float, load: Load | None, failure: str | None) -> MeasuredPoint:
        """A point with its outcome."""
        named = {name: getattr(point, name) for name in ("sweep", "topology", "x", "asked", "transactions")}
        return cls(**named, basis=basis, took_s=took_s, load=load, failure=failure)


@dataclass(frozen=True, slots=True)
class PointStore:
    """The folder of points: a folder for each sweep with files TOPOLOGY-X.json."""

    folder: Path

    def save(self, measured: MeasuredPoint) -> None:
        """Write a point, whole or not at all, in place of an earlier one."""
        path = self._path(measured.sweep, measured.topology, measured.x)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, measured.model_dump_json(indent=1).encode())

    def read(self, point: Point) -> MeasuredPoint | None:
        """The outcome at a point, failures included; None if it was not measured. Raises :class:`InputError`."""
        path = self._path(point.sweep, point.topology, point.x)
        try:
            return MeasuredPoint.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise InputError(f"{path} is no point of this version: remove it, or start over with --fresh") from error

    def done(self, points: list[Point]) -> dict[Point, MeasuredPoint]:
        """The points that were measured and did not fail."""
        found = {point: self.read(point) for point in points}
        return {point: measured for point, measured in found.items() if measured and measured.load}

    def check(self, points: list[Point], basis: Basis, *, keep: bool) -> list[str]:
        """The differences between the points' conditions and this run's. Raises ConflictError if there are any, unless
        ``keep``."""
        differences = []
        for measured in self.done(points).values():
            theirs, ours = measured.basis.model_dump(), basis.model_dump()
            differences += [f"{name} {theirs[name]}, now {ours[name]}" for name in ours if theirs[name] != ours[name]]
        unique = list(dict.fromkeys(differences))
        if unique and not keep:
            raise ConflictError(
                f"points in {self.folder} were measured under other conditions ({'; '.join(unique)}): "
                "start over with --fresh, or use them as they are with --keep"
            )
        return unique

    def clear(self) -> None:
        """Remove all points."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, sweep: str, topology: str, x: int) -> Path:
        return self.folder / sweep / f"{topology}-{x}.json"
