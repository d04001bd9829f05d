"""PMUs that others run: a mapping by YAML, and frames that are submitted as soon as they are whole."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from gridledger.errors import InputError
from gridledger.field.c37118 import DataFrame, PmuData, Stat, time_at
from services.feeder.clock import SystemClock
from services.feeder.measured_command import submit_live
from services.feeder.pmu.channels import configuration_of, pmus_of
from services.feeder.pmu.concentrator import Concentrator
from services.feeder.pmu.mapping import Mapping, Measured, PmuForm, StreamForm, read_mapping
from services.feeder.pmu.phasors import phasors_of
from services.feeder.pmu.server import PmuServer
from tests.support.solved_grid import base_state, planner
from tests.support.waiting import until
from tests.unit.feeder.test_recorded import new_stream, of

CASE = planner("corrected").case
PMUS = pmus_of(CASE)


def document(port: int = 4712) -> dict[str, Any]:
    """All PMUs of case30 in one stream."""
    pmus = [
        {"stream": "all", "station": pmu.station, "phasors": {name: of(quantity) for name, quantity in pmu.channels}}
        for pmu in PMUS
    ]
    streams = [{"name": "all", "idcode": 1, "address": f"127.0.0.1:{port}"}]
    return {"wait_ms": 40, "streams": streams, "pmus": pmus}


def written(value: Any, folder: Path) -> Path:
    """The mapping's file."""
    path = folder / "pmus.yaml"
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    return path


def test_a_mapping_names_every_quantity_of_the_grid(tmp_path: Path) -> None:
    told = read_mapping(written(document(), tmp_path)).told(CASE)
    found = {quantity for phasors in told.values() for quantity in phasors.values()}
    assert found == set(phasors_of(base_state(), CASE))


@pytest.mark.timeout(20)
def test_telling_takes_time_in_proportion_to_the_file() -> None:
    """Comparing each phasor with all others took minutes."""
    count = 32_767
    pmu = PmuForm(stream="all", station="BUS", phasors={f"V{n}": Measured(voltage=n) for n in range(count)})
    mapping = Mapping(streams=[StreamForm(name="all", idcode=1, address="127.0.0.1:4712")], pmus=[pmu])
    case: Any = SimpleNamespace(position=range(count))
    assert len(mapping.told(case)["all", "BUS"]) == count


async def test_frames_of_others_pmus_are_submitted_and_answered(tmp_path: Path) -> None:
    clock = SystemClock()
    server = PmuServer(configuration_of(PMUS, 1, 30), now_us=clock.now_us)
    await server.start("127.0.0.1", 0)
    mapping = read_mapping(written(document(server.address[1]), tmp_path))
    pdc = Concentrator(
        [one.source() for one in mapping.streams],
        mapping.told(CASE),
        wait_ms=mapping.wait_ms,
        now_us=clock.now_us,
        random=Random(1),
    )
    _, stream = await new_stream()
    phasors = phasors_of(base_state(), CASE)

    def seen(count: int) -> bool:
        return stream.outcomes["3"]["normal"] == count

    live = asyncio.create_task(submit_live(pdc, stream, 30.0))
    await until(lambda: server.receiving)
    for number in range(6):
        # The fourth time the PMU at bus 3 is in test mode, which groups 1 sees only.
        words = {3: 0x8000} if number == 3 else {}
        data = tuple(
            PmuData(Stat(words.get(pmu.bus, 0)), tuple(phasors[quantity] for _, quantity in pmu.channels), 60.0, 0.0)
            for pmu in PMUS
        )
        server.publish(DataFrame(1, time_at(clock.now_us()), data))
        expected = number + 1
        await until(partial(seen, expected))
    await until(lambda: stream.outcomes["1"]["normal"] == 5)
    live.cancel()
    await asyncio.gather(live, return_exceptions=True)
    await server.stop()
    assert pdc.alignment.bad == {"all/BUS 3": 1}
    assert stream.outcomes["1"] == {"normal": 5}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d["streams"][0].update(address="127.0.0.1"), "is no HOST:PORT"),
        (lambda d: d["streams"].append(d["streams"][0]), "a stream stands there twice"),
        (lambda d: d["pmus"].append(d["pmus"][0]), "a PMU stands there twice"),
        (lambda d: d["pmus"][0].update(stream="other"), "there is no stream other"),
        (lambda d: d["pmus"][0]["phasors"].update(X={"voltage": 2}), "the voltage at 2 is told twice"),
        (lambda d: d["pmus"][0]["phasors"].update(X={"voltage": 99}), "case30 has no bus 99"),
        (lambda d: d.update(wait_ms=0), "wait_ms: Input should be greater than 0"),
        (lambda d: d.update(colour="red"), "colour"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(change: Any, why: str, tmp_path: Path) -> None:
    value = yaml.safe_load(yaml.safe_dump(document()))
    change(value)
    path = tmp_path / "pmus.yaml"
    dumper = type("NoAliases", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    path.write_text(yaml.dump(value, Dumper=dumper), encoding="utf-8")

    def used() -> None:
        mapping = read_mapping(path)
        mapping.told(CASE)
        for one in mapping.streams:
            one.source()

    with pytest.raises(InputError, match=why):
        used()


@pytest.mark.parametrize(
    "text",
    [
        *("a: [", "a: &x 1\nb: *x\n", "\x00", "a: 2026-13-45", "a: " + "9" * 5000, "[" * 20_000),
        *("a: !!bool maybe", "a: !!int ''", "a: !!timestamp then", "a: " + "1:" * 200 + "1.0"),
    ],
)
def test_a_file_that_is_no_plain_yaml_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "pmus.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"YAML"):
        read_mapping(path)
