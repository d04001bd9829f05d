"""A run's folder, read: ``run.json`` and the columns of its tables, of a run that was killed as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gridledger import jsontext
from gridledger.errors import InputError, MalformedJSON
from services.feeder.results.columns import FORMAT, TABLES
from services.feeder.results.table_writer import arrow, schema_of

if TYPE_CHECKING:
    from pandas import DataFrame

Array = npt.NDArray[Any]
_NEEDED = {"profile", "v_required"}


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run. ``info`` is its run.json."""

    path: Path
    info: dict[str, Any]

    @classmethod
    def at(cls, path: Path) -> RunFolder:
        """The run in the folder ``path``; InputError where it holds none."""
        try:
            info = jsontext.loads((path / "run.json").read_bytes())
        except OSError as error:
            raise InputError(f"{path} holds no run: {error.strerror or error} (run.json)", folder=str(path)) from None
        except MalformedJSON as error:
            raise InputError(f"{path / 'run.json'} is not JSON: {error.message}", folder=str(path)) from None
        if not isinstance(info, dict) or info.get("format") not in range(1, FORMAT + 1):
            raise InputError(
                f"{path / 'run.json'} is of another format than 1 to {FORMAT}; use the version that wrote it"
            )
        if not (
            isinstance(info.get("case"), dict) and isinstance(info.get("scenario"), dict) and info.keys() >= _NEEDED
        ):
            raise InputError(f"{path / 'run.json'} lacks what every run tells; it is damaged", folder=str(path))
        return cls(path, info)

    @property
    def title(self) -> str:
        """Case, scenario and profile, in a few words."""
        scenario = self.info["scenario"].get("name", "")
        return f"{self.info['case']['name']}, {scenario}, {self.info['profile']}"

    @property
    def unfinished(self) -> str:
        """Why the run is no whole one, in a line; empty where it is."""
        if self.info.get("ended") is None:
            return "the run has not ended, or was killed: there is what was written until then"
        if self.info.get("interrupted"):
            return f"the run was interrupted at {self.info['ended']}"
        return ""

    def to_frame(self, name: str) -> DataFrame:
        """A whole table as a pandas data frame: one of :data:`~services.feeder.results.columns.TABLES`."""
        import pandas  # noqa: PLC0415 -- takes half a second; figures do without

        if name not in TABLES:
            raise InputError(f"a run has no table {name!r}: choose one of {', '.join(TABLES)}")
        return pandas.DataFrame(self.table(name, [column.name for column in TABLES[name]]))

    def table(self, name: str, columns: Sequence[str]) -> dict[str, Array]:
        """Columns of one table, in the order of time; a whole number that may be empty comes as real, NaN for empty."""
        pa = arrow()
        try:
            return self._columns(pa, name, columns)
        except (pa.ArrowException, OSError) as error:
            why = str(error).partition("\n")[0][:200]
            raise InputError(f"the table {name} of {self.path} cannot be read: {why}", folder=str(self.path)) from None

    def _columns(self, pa: Any, name: str, columns: Sequence[str]) -> dict[str, Array]:
        wanted = list(dict.fromkeys(("time_us", *columns)))
        whole, parts = self.path / f"{name}.parquet", self.path / f"{name}.parts"
        schema = pa.schema([schema_of(TABLES[name]).field(column) for column in wanted])
        if whole.is_file():
            read = pa.parquet.read_table(whole, columns=wanted)
        elif parts.is_dir():
            found = [pa.parquet.read_table(part, columns=wanted) for part in sorted(parts.glob("*.parquet"))]
            read = pa.concat_tables(found) if found else schema.empty_table()
        else:
            raise InputError(f"{self.path} has no table {name}", folder=str(self.path))
        arrays = {column: read[column].to_numpy() for column in wanted}
        order = np.argsort(arrays["time_us"], kind="stable")
        return {column: values[order] for column, values in arrays.items()}


def split_by(table: dict[str, Array], key: str) -> Iterator[tuple[Any, dict[str, Array]]]:
    """The rows of each value of the column ``key``, values ascending, rows in their order."""
    order = np.argsort(table[key], kind="stable")
    values, starts = np.unique(table[key][order], return_index=True)
    for value, rows in zip(values, np.split(order, starts[1:]), strict=True) if len(values) else ():
        yield value, {column: array[rows] for column, array in table.items()}
