"""Monitoring data: the rows of the source's Table 1 and the kinds of its clusters, the same from one seed."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pytest

from gridledger.errors import InputError
from gridledger.network.schema import load_network_config
from services.vault.__main__ import main
from services.vault.monitoring import (
    CLUSTERS,
    COLUMNS,
    TABLE_1,
    Number,
    cluster_records,
    sensors,
    table_records,
    to_csv,
    to_json,
)
from tests.support.processes import REPOSITORY

DESCRIPTION = REPOSITORY / "network-config" / "substation-vault.yaml"


def test_the_table_has_its_seven_rows_with_all_places() -> None:
    rows = {item.name: len(item.places) for item in TABLE_1}
    assert rows == {
        "power cabinet for station": 1,
        "temperature detection": 6,
        "air conditioning monitoring": 2,
        "environmental monitoring": 6,
        "arrester monitoring": 2,
        "equipment operation status monitoring": 1,
        "line condition monitoring": 1,
    }
    told = {(record.item, record.place) for record in table_records(1, seed=1)}
    assert told == {(item.name, place) for item in TABLE_1 for place in item.places}


def test_the_clusters_have_the_sensors_of_the_network() -> None:
    described = load_network_config(DESCRIPTION).applications["vault"]["clusters"]
    assert {name: len(kinds) for name, kinds in CLUSTERS.items()} == {"M1": 2, "M2": 3, "M3": 4, "M4": 2, "M5": 1}
    for cluster in CLUSTERS:
        holders = set(described[cluster]["holders"])
        assert {name for name, _ in sensors(cluster)} == holders - {f"{cluster.lower()}-head"}


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_one_seed_gives_one_file_and_another_seed_another(cluster: str) -> None:
    first = to_csv(cluster_records(cluster, 5, seed=3))
    assert first == to_csv(cluster_records(cluster, 5, seed=3))
    assert first != to_csv(cluster_records(cluster, 5, seed=4))
    assert first.startswith(to_csv(cluster_records(cluster, 2, seed=3)))


def test_values_stay_near_their_level_and_have_their_unit() -> None:
    levels = {
        (item.name, measure.name): measure
        for item in TABLE_1
        for measure in item.measures
        if isinstance(measure, Number)
    }
    for record in table_records(1440, seed=1)[::7]:
        measure = levels.get((record.item, record.measure))
        if measure is None:
            assert isinstance(record.value, str | int)
            continue
        assert record.unit == measure.unit
        assert isinstance(record.value, float)
        assert abs(record.value - measure.level) <= measure.daily + 15 * measure.noise + 10.0**-measure.decimals
        assert record.value >= measure.least


def test_rare_states_are_rare_and_counters_never_fall() -> None:
    records = cluster_records("M1", 2000, seed=1)
    states = Counter(record.value for record in records if record.measure == "intrusion")
    assert 0 < states["suspected"] < 40
    for sensor in ("m1-visible-1", "m1-visible-2"):
        counted = [record.value for record in records if (record.sensor, record.measure) == (sensor, "motion events")]
        assert counted == sorted(counted, key=float)
        assert counted[-1] != counted[0]


def test_files_have_the_documented_form() -> None:
    records = cluster_records("M4", 2, seed=1)
    table = list(csv.DictReader(io.StringIO(to_csv(records).decode())))
    objects = json.loads(to_json(records))
    assert tuple(table[0]) == COLUMNS == tuple(objects[0])
    assert [row["value"] for row in table] == [str(each["value"]) for each in objects]
    assert table[0]["time"] == "2026-01-15T00:00:00Z"


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="there is no cluster 'M6'"):
        sensors("M6")
    with pytest.raises(InputError, match="fewer than one"):
        cluster_records("M1", 0, seed=1)


@pytest.mark.parametrize(
    ("what", "name", "head"), [("M5", "m5.csv", b"time,cluster,"), ("table1", "t.json", b'[{"time"')]
)
def test_a_sample_is_written(
    what: str, name: str, head: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", what, "-o", str(tmp_path / name), "--periods", "2"]) == 0
    data = (tmp_path / name).read_bytes()
    assert data.startswith(head)
    assert f"{len(data)} bytes" in capsys.readouterr().out
