"""Recorded PMU data: CSV and Parquet give the frames that PMUs give, and what is wrong is told with its row."""

from __future__ import annotations

import cmath
import csv
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from gridledger.errors import InputError, UnavailableError
from gridledger.grid.power_flow import Grid
from services.feeder.measured_stream import MeasuredStream
from services.feeder.pmu.phasors import PhasorFrames, Quantity, in_service, phasors_of, state_of
from services.feeder.recorded.columns import RowReader, read_columns
from services.feeder.recorded.replay import replay
from services.feeder.recorded.tables import rows_of
from tests.support.dvs_channel import full_list
from tests.support.dvs_world import Caller, FakeClock, Life, World, conflict, dvs_client
from tests.support.feeder_world import GROUPS, SHARDED
from tests.support.solved_grid import base_state, planner, power_flow

CASE = planner("corrected").case
T0 = 1_767_000_000_000_000


def measured(*, bus_3_mw: float = 2.4) -> dict[Quantity, complex]:
    """The phasors of case30 with a load at bus 3."""
    grid = Grid(power_flow())
    grid.set_loads({3: (bus_3_mw, bus_3_mw / 2)})
    return phasors_of(grid.state(), CASE)


def named(quantity: Quantity) -> str:
    """The column's name."""
    return f"{quantity.kind} {quantity.at}"


def of(quantity: Quantity) -> dict[str, Any]:
    """What the YAML file says of a quantity."""
    if quantity.kind in ("voltage", "load"):
        return {quantity.kind: quantity.at}
    f, t = CASE.ends(quantity.at)
    same = [at for at in range(quantity.at + 1) if sorted(CASE.ends(at)) == sorted((f, t))]
    return {"current": [f, t, len(same)] if quantity.kind == "from" else [t, f, len(same)]}


def columns_file(folder: Path, **time: Any) -> Path:
    """All phasors of the case, rectangular in V and A."""
    phasors = [
        {
            "of": of(quantity),
            "real": f"{named(quantity)} re",
            "imaginary": f"{named(quantity)} im",
            "unit": "V" if quantity.kind == "voltage" else "A",
        }
        for quantity in measured()
    ]
    path = folder / "columns.yaml"
    document = {"time": {"column": "t", **time}, "stat": {"column": "stat"}, "phasors": phasors}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def row(time: Any, phasors: dict[Quantity, complex], stat: int = 0) -> dict[str, Any]:
    """A row of the table."""
    cells = {"t": time, "stat": stat}
    for quantity, value in phasors.items():
        cells |= {f"{named(quantity)} re": value.real, f"{named(quantity)} im": value.imag}
    return cells


def written(rows: list[dict[str, Any]], path: Path) -> Path:
    """The table as the file's name says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


async def new_stream(life: Life | None = None) -> tuple[World, MeasuredStream]:
    """A world with lists, and a stream whose records are on its ledger."""
    world = World(SHARDED)
    stream = MeasuredStream(planner("corrected"), base_state(), dvs=dvs_client(world, life))
    await stream._records.submit_all(base_state())
    for group in GROUPS:
        vvc = full_list(planner("corrected").area(group).load_buses, 1.5)
        await dvs_client(world).submit(group, "UpdateResources", vvc=vvc)
    await stream.prepare()
    return world, stream


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
async def test_a_table_gives_the_frames_that_pmus_give(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = [measured(), measured(bus_3_mw=52.8), measured(bus_3_mw=52.8)]
    table = written([row(T0 + 20_000 * n, phasors) for n, phasors in enumerate(states)], tmp_path / name)
    _, stream = await new_stream()
    sent: list[Any] = []
    submit = Caller.submit

    async def noting(self: Caller, channel: str, function: str, argument: Any) -> Any:
        if function == "ComputeVSI":
            sent.append(argument)
        return await submit(self, channel, function, argument)

    monkeypatch.setattr(Caller, "submit", noting)
    reader = RowReader(read_columns(columns_file(tmp_path)), CASE)
    counts = await replay(rows_of(table, reader.names), reader, stream, speed=0, clock=FakeClock(), shift=False)
    assert counts == {"taken": 3}
    expected = [
        PhasorFrames(planner("corrected").area(group), in_service(CASE, ())).frame(phasors, T0 + 20_000 * n, applied=0)
        for n, phasors in enumerate(states)
        for group in GROUPS
    ]
    assert sorted(map(repr, sent)) == sorted(map(repr, expected))
    # Nothing is carried out here: the second alarm is answered without another order.
    assert stream.outcomes["1"] == {"normal": 1, "injected": 1, "pending": 1}
    assert stream.outcomes["2"] == {"normal": 3}


async def test_rows_that_are_not_good_or_not_whole_are_counted(tmp_path: Path) -> None:
    hole = measured() | {Quantity("voltage", 3): complex(math.nan, 0)}
    rows = [row(T0, measured(), stat=0x4000), row(T0 + 1, hole), row(T0 + 2, measured())]
    _, stream = await new_stream()
    reader = RowReader(read_columns(columns_file(tmp_path)), CASE)
    table = written(rows, tmp_path / "table.csv")
    counts = await replay(rows_of(table, reader.names), reader, stream, speed=0, clock=FakeClock(), shift=True)
    assert counts == {"taken": 2, "bad": 1}
    assert stream.outcomes["1"] == {"incomplete": 1, "normal": 1}
    assert stream.outcomes["3"] == {"normal": 2}


async def test_a_frame_that_meets_another_transaction_is_no_failure() -> None:
    life = Life(faults={"ComputeVSI": [conflict(), UnavailableError("away")]})
    _, stream = await new_stream(life)
    for n in range(2):
        await stream.take(T0 + n, measured(), wait=True)
        await stream.drain()
    total = sum(stream.outcomes.values(), Counter[str]())
    assert total == {"conflict": 1, "failed": 1, "normal": 4}


async def test_a_turned_border_brings_a_new_record(tmp_path: Path) -> None:
    grid = Grid(power_flow())
    grid.set_loads({14: (24.8, 6.4)})
    turned = phasors_of(grid.state(), CASE)
    _, stream = await new_stream()
    for n in range(4):
        await stream.take(T0 + n, turned, wait=True)
        await stream.drain()
    assert stream.outcomes["1"]["stale"] == 1
    assert stream.outcomes["1"].total() == 4
    flows = state_of(turned, CASE, base_state()).flows
    assert abs(flows - grid.state().flows).max() < 1e-5


@pytest.mark.parametrize(
    ("unit", "cell"),
    [
        ("us", T0),
        ("ms", T0 / 1000),
        ("s", T0 / 1e6),
        ("iso", "2025-12-29T09:20:00+00:00"),
        ("iso", "2025-12-29T04:20:00-05:00"),
    ],
)
def test_times_are_read_in_every_unit(unit: str, cell: Any, tmp_path: Path) -> None:
    reader = RowReader(read_columns(columns_file(tmp_path, unit=unit)), CASE)
    assert reader.time_us({"t": cell}) == T0


def test_units_and_forms_of_phasors_mean_the_same(tmp_path: Path) -> None:
    path = tmp_path / "columns.yaml"
    volts = 1000.0 / math.sqrt(3.0) * (CASE.base_kv[CASE.position[4]] or 1.0)
    amperes = CASE.base_mva * 1e6 / (3.0 * volts)
    phasors = [
        {"of": {"voltage": 4}, "magnitude": "m", "angle": "deg", "unit": "pu"},
        {"of": {"load": 4}, "magnitude": "m", "angle": "rad", "unit": "pu", "angle_unit": "rad"},
        {"of": {"current": [4, 12]}, "real": "re", "imaginary": "im", "unit": "kA"},
    ]
    path.write_text(yaml.safe_dump({"time": {"column": "t"}, "phasors": phasors}), encoding="utf-8")
    reader = RowReader(read_columns(path), CASE)
    found = reader.phasors({"t": "1", "m": "2", "deg": "90", "rad": str(math.pi / 2), "re": "1", "im": "-1"})
    branch = CASE.branch(4, 12)
    assert found[Quantity("voltage", 4)] == pytest.approx(cmath.rect(2 * volts, math.pi / 2))
    assert found[Quantity("load", 4)] == pytest.approx(cmath.rect(2 * amperes, math.pi / 2))
    assert found[Quantity("from", branch)] == 1000 - 1000j


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"unit": "A"}, "A is no unit of a voltage"),
        ({"angle": None}, "give real and imaginary, or magnitude and angle"),
        ({"of": {"voltage": 4, "load": 4}}, "give one of voltage, load and current"),
        ({"of": {"voltage": 999}}, "case30 has no bus 999"),
        ({"of": {"current": [4, 30]}, "unit": "A"}, "has no branch 4-30"),
        ({"colour": "red"}, "phasors.0.colour"),
    ],
)
def test_a_column_that_means_nothing_is_refused(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    one = {"of": {"voltage": 4}, "magnitude": "m", "angle": "a", "unit": "kV"} | change
    path = tmp_path / "columns.yaml"
    path.write_text(yaml.safe_dump({"time": {"column": "t"}, "phasors": [one]}), encoding="utf-8")
    with pytest.raises(InputError, match=why):
        RowReader(read_columns(path), CASE)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("t,x\n1,2\n", "it has no column 'y'"),
        ("t,y,y\n1,2,3\n", "it has two columns 'y'"),
        ("t,y\n1,2,3\n", "line 2: 3 cells, and 2 columns"),
        ("", "it has no column 't'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=why):
        list(rows_of(path, ["t", "y"]))


async def test_a_cell_and_an_order_that_are_wrong_name_their_row(tmp_path: Path) -> None:
    reader = RowReader(read_columns(columns_file(tmp_path)), CASE)
    for rows, why in (
        ([row(T0, measured()), row("soon", measured())], "line 3: invalid literal"),
        ([row(T0, measured()), row(T0, measured())], "line 3: its time is not after"),
        ([row(T0, measured(), stat=1 << 16)], "line 2: STAT 65536 has no 16 bits"),
    ):
        _, stream = await new_stream()
        table = written(rows, tmp_path / "table.csv")
        with pytest.raises(InputError, match=why):
            await replay(rows_of(table, reader.names), reader, stream, speed=0, clock=FakeClock(), shift=False)
        await stream.drain()
