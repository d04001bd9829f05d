"""Monitoring data of a smart substation, made up from a seed: the sensors of the source's Table 1 and of its clusters.

The source measured nothing that it publishes, so the values are those that such sensors show in service: a level, a
daily course, and noise that remembers what it was. One seed gives the same records on every machine.

A record is one value: ``time`` (UTC), ``cluster`` (empty for Table 1), ``sensor``, ``item`` (what is monitored),
``place``, ``measure``, ``value`` (a number, or the word of a state), ``unit`` (empty for states). Files are CSV with
these columns, or JSON: a list of objects with these members.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, TypeAlias

from gridledger import jsontext
from gridledger.errors import InputError

BEGIN: Final = datetime(2026, 1, 15, tzinfo=UTC)
"""When records begin if nothing else is said."""
PERIOD_S: Final = 60
_DAY_S: Final = 86_400
_MEMORY: Final = 0.9
"""How much of one period's noise is in the next one's."""


@dataclass(frozen=True, slots=True)
class Number:
    """A measured quantity: its level, how far the day and noise move it (both in ``unit``), and its decimals."""

    name: str
    unit: str
    level: float
    daily: float
    noise: float
    decimals: int
    least: float = -math.inf


@dataclass(frozen=True, slots=True)
class State:
    """A quantity of two words: the usual one, and one that is seen in ``rarely`` of all records."""

    name: str
    usual: str
    other: str
    rarely: float = 0.002


@dataclass(frozen=True, slots=True)
class Counter:
    """A number of times, which grows by one in ``rarely`` of all records."""

    name: str
    unit: str
    begins: int
    rarely: float = 0.002


Measure: TypeAlias = Number | State | Counter


@dataclass(frozen=True, slots=True)
class Item:
    """A row of Table 1, or a kind of sensor of a cluster: where it is deployed and what it tells."""

    word: str
    name: str
    places: tuple[str, ...]
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One value. The members are the columns of a file."""

    time: str
    cluster: str
    sensor: str
    item: str
    place: str
    measure: str
    value: float | int | str
    unit: str


def _temperature(level: float, noise: float = 0.1) -> Number:
    return Number("temperature", "degC", level, 3.0, noise, 1)


_HUMIDITY: Final = Number("relative humidity", "%", 48.0, 6.0, 0.4, 1, 0.0)
_UNITS: Final[tuple[Measure, ...]] = (
    _temperature(24.0),
    _HUMIDITY,
    State("energy acquisition unit", "working", "faulty"),
    State("energy storage unit", "charged", "low"),
)
_WARNING: Final = State("early warning", "none", "raised")
_LEAKAGE: Final = Number("leakage current", "mA", 0.62, 0.05, 0.006, 3, 0.0)
_ACTIONS: Final = Counter("action times", "", 3)

TABLE_1: Final[tuple[Item, ...]] = (
    Item(
        "cabinet",
        "power cabinet for station",
        ("power cabinet",),
        (
            Number("main incoming line voltage", "V", 400.0, 4.0, 0.8, 1),
            Number("current", "A", 126.0, 30.0, 2.0, 1, 0.0),
            Number("power", "kW", 80.3, 18.0, 1.2, 2, 0.0),
            Number("power factor", "", 0.92, 0.02, 0.004, 3, 0.0),
            State("switch", "closed", "open"),
        ),
    ),
    Item(
        "temperature",
        "temperature detection",
        (
            "secondary chamber of acquisition protection cabinet",
            "switch cabinet",
            "main control room",
            "automation host",
            "main control unit",
            "network switch",
        ),
        (_temperature(27.0), Number("cable temperature rise", "K", 14.0, 5.0, 0.3, 1, 0.0), _WARNING),
    ),
    Item(
        "air",
        "air conditioning monitoring",
        ("air conditioning lower part", "interface connection"),
        (
            State("water immersion", "dry", "wet"),
            _WARNING,
            State("operation", "running", "stopped", 0.05),
            Number("set temperature", "degC", 23.0, 0.0, 0.0, 1),
            Number("set humidity", "%", 50.0, 0.0, 0.0, 1),
        ),
    ),
    Item(
        "environment",
        "environmental monitoring",
        (
            "GIS room",
            "power distribution device room",
            "secondary equipment room",
            "capacitor room",
            "battery room",
            "cable layer",
        ),
        (_temperature(22.0), _HUMIDITY, State("smoke", "none", "detected", 0.0005), State("door", "closed", "open")),
    ),
    Item(
        "arrester",
        "arrester monitoring",
        ("incoming line of arrester", "outgoing line of arrester"),
        (
            Number("action current", "kA", 5.0, 0.0, 0.4, 2, 0.0),
            _LEAKAGE,
            _ACTIONS,
        ),
    ),
    Item(
        "equipment",
        "equipment operation status monitoring",
        ("electrical equipment",),
        (
            *_UNITS,
            Number("real-time voltage", "kV", 115.0, 1.2, 0.08, 3),
            Number("real-time current", "A", 412.0, 95.0, 3.0, 1, 0.0),
        ),
    ),
    Item(
        "line",
        "line condition monitoring",
        ("cable",),
        (
            *_UNITS,
            Number("real-time voltage", "kV", 10.4, 0.15, 0.02, 3),
            Number("real-time current", "A", 218.0, 60.0, 2.0, 1, 0.0),
        ),
    ),
)
"""The sensors on the acquisition layer, row by row: test item, deployment, information."""

CLUSTERS: Final[dict[str, tuple[Item, ...]]] = {
    "M1": (
        Item(
            "visible",
            "visible light",
            ("perimeter",),
            (
                Number("illuminance", "lx", 180.0, 160.0, 6.0, 0, 0.0),
                Counter("motion events", "", 0, 0.01),
                State("intrusion", "none", "suspected"),
            ),
        ),
        Item(
            "infrared",
            "infrared",
            ("busbar joint",),
            (Number("hot spot temperature", "degC", 41.0, 8.0, 0.4, 1), _temperature(12.0, 0.2)),
        ),
    ),
    "M2": (
        Item(
            "current",
            "precision current",
            ("core earthing",),
            (Number("core earth current", "mA", 38.0, 2.0, 0.6, 1, 0.0),),
        ),
        Item(
            "semiconductor",
            "semiconductor",
            ("oil of the transformer",),
            (
                Number("hydrogen in oil", "uL/L", 46.0, 1.0, 0.7, 1, 0.0),
                Number("acetylene in oil", "uL/L", 0.4, 0.05, 0.03, 2, 0.0),
                Number("moisture in oil", "mg/L", 11.0, 0.8, 0.2, 1, 0.0),
                Number("top oil temperature", "degC", 54.0, 7.0, 0.3, 1),
            ),
        ),
        Item(
            "broadband",
            "broadband current",
            ("bushing tap",),
            (
                Number("partial discharge", "pC", 85.0, 20.0, 6.0, 0, 0.0),
                Number("pulses a second", "1/s", 14.0, 3.0, 1.0, 0, 0.0),
            ),
        ),
    ),
    "M3": (
        Item(
            "displacement",
            "displacement",
            ("contact rod",),
            (
                Number("contact travel", "mm", 119.6, 0.0, 0.15, 2, 0.0),
                Number("closing speed", "m/s", 3.42, 0.0, 0.03, 3, 0.0),
            ),
        ),
        Item(
            "vibration",
            "vibration",
            ("operating mechanism",),
            (Number("peak acceleration", "m/s2", 212.0, 0.0, 4.0, 1, 0.0),),
        ),
        Item(
            "current",
            "precision current",
            ("trip coil",),
            (
                Number("trip coil current", "A", 2.35, 0.0, 0.02, 3, 0.0),
                Number("spring motor current", "A", 4.8, 0.0, 0.1, 2, 0.0),
                Counter("operations", "", 412),
            ),
        ),
        Item(
            "capacitance",
            "film capacitance",
            ("gas chamber",),
            (
                Number("moisture in SF6", "uL/L", 118.0, 5.0, 1.2, 0, 0.0),
                Number("SF6 pressure", "MPa", 0.602, 0.006, 0.0008, 4, 0.0),
            ),
        ),
    ),
    "M4": (
        Item(
            "voltage",
            "precision voltage",
            ("voltage transformer, phase A",),
            (
                Number("voltage", "kV", 115.0, 1.2, 0.08, 3, 0.0),
                Number("secondary voltage", "V", 104.5, 1.1, 0.07, 2, 0.0),
            ),
        ),
        Item(
            "current",
            "precision current",
            ("current transformer, phase A",),
            (
                Number("current", "A", 412.0, 95.0, 3.0, 1, 0.0),
                Number("end shield current", "mA", 9.6, 0.4, 0.05, 2, 0.0),
                Number("dielectric loss factor", "%", 0.28, 0.02, 0.004, 3, 0.0),
            ),
        ),
    ),
    "M5": (
        Item(
            "current",
            "precision current",
            ("arrester, phase A",),
            (
                _LEAKAGE,
                Number("resistive current", "mA", 0.094, 0.008, 0.001, 4, 0.0),
                _ACTIONS,
            ),
        ),
    ),
}
"""The five clusters of the source's section 5, with the kinds of their sensors."""

SENSORS_OF_A_KIND: Final = 2
COLUMNS: Final = tuple(field.name for field in fields(Record))


def sensors(cluster: str) -> list[tuple[str, Item]]:
    """The sensors of a cluster as the network's description names them (``m4-voltage-1``), each with its kind."""
    if cluster not in CLUSTERS:
        raise InputError(f"there is no cluster {cluster!r:.40}; there are: {', '.join(CLUSTERS)}")
    numbers = range(1, SENSORS_OF_A_KIND + 1)
    return [(f"{cluster.lower()}-{item.word}-{number}", item) for item in CLUSTERS[cluster] for number in numbers]


def cluster_records(
    cluster: str, periods: int, *, seed: int, begin: datetime = BEGIN, period_s: int = PERIOD_S
) -> list[Record]:
    """What a cluster's sensors tell in so many periods, by time."""
    told = [(cluster, sensor, item, place) for sensor, item in sensors(cluster) for place in item.places]
    return _records(told, periods, seed, begin, period_s)


def table_records(periods: int, *, seed: int, begin: datetime = BEGIN, period_s: int = PERIOD_S) -> list[Record]:
    """What the sensors of Table 1 tell in so many periods, by time."""
    told = [("", f"{item.word}-{at}", item, place) for item in TABLE_1 for at, place in enumerate(item.places, 1)]
    return _records(told, periods, seed, begin, period_s)


def to_csv(records: Iterable[Record]) -> bytes:
    """The records as a table with a head line."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([getattr(record, name) for name in COLUMNS] for record in records)
    return text.getvalue().encode()


def to_json(records: Iterable[Record]) -> bytes:
    """The records as one list."""
    return jsontext.dumps([asdict(record) for record in records]) + b"\n"


def _records(
    told: Sequence[tuple[str, str, Item, str]], periods: int, seed: int, begin: datetime, period_s: int
) -> list[Record]:
    if periods < 1:
        raise InputError(f"{periods} periods are fewer than one")
    series = [
        (cluster, sensor, item.name, place, measure, _Series(measure, Random(f"{seed}/{sensor}/{measure.name}")))  # noqa: S311
        for cluster, sensor, item, place in told
        for measure in item.measures
    ]
    records: list[Record] = []
    for period in range(periods):
        at = begin + timedelta(seconds=period * period_s)
        time, of_day = at.strftime("%Y-%m-%dT%H:%M:%SZ"), (at.timestamp() % _DAY_S) / _DAY_S
        for cluster, sensor, item_name, place, measure, values in series:
            value = values.next(of_day)
            unit = "" if isinstance(measure, State) else measure.unit
            records.append(Record(time, cluster, sensor, item_name, place, measure.name, value, unit))
    return records


class _Series:
    """The values of one measure, period by period."""

    def __init__(self, measure: Measure, random: Random) -> None:
        self._measure = measure
        self._random = random
        self._noise = 0.0
        self._count = measure.begins if isinstance(measure, Counter) else 0

    def next(self, of_day: float) -> float | int | str:
        """The next value; ``of_day`` is how much of the day is over, 0 to 1."""
        measure = self._measure
        if isinstance(measure, State):
            return measure.other if self._random.random() < measure.rarely else measure.usual
        if isinstance(measure, Counter):
            self._count += self._random.random() < measure.rarely
            return self._count
        self._noise = _MEMORY * self._noise + self._random.gauss(0.0, measure.noise)
        value = measure.level - measure.daily * math.cos(2 * math.pi * of_day) + self._noise
        return round(max(measure.least, value), measure.decimals)
