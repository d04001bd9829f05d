"""Measured points as files, and whether they fit together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures.point_store import MeasuredPoint, PointStore
from gridledger.errors import ConflictError, InputError
from tests.support.loads import BASIS, made_load, points_of


@pytest.fixture
def store(tmp_path: Path) -> PointStore:
    return PointStore(tmp_path / "points")


def test_points_are_json(store):
    [point, *_] = points_of("no-shard")
    store.save(MeasuredPoint.of(point, BASIS, took_s=3.0, load=made_load(), failure=None))
    [path] = store.folder.rglob("*.json")
    assert json.loads(path.read_bytes())["basis"]["commit"] == "0123"
    assert [other.suffix for other in path.parent.iterdir()] == [".json"]


def test_a_half_written_point_is_not_taken_for_one(store):
    [point, *_] = points_of("no-shard")
    path = store.folder / "send-rate" / "no-shard-50.part"
    path.parent.mkdir(parents=True)
    path.write_text('{"half":')
    assert store.read(point) is None
    path.with_suffix(".json").write_text('{"half":')
    with pytest.raises(InputError, match="--fresh"):
        store.read(point)


def test_points_of_another_commit_are_refused_unless_kept(store):
    points = points_of("no-shard")
    for point in points:
        store.save(MeasuredPoint.of(point, BASIS, took_s=3.0, load=made_load(), failure=None))
    assert store.check(points, BASIS, keep=False) == []
    now = BASIS.model_copy(update={"commit": "4567"})
    with pytest.raises(ConflictError, match=r"0123, now 4567.*--fresh.*--keep"):
        store.check(points, now, keep=False)
    assert store.check(points, now, keep=True) == ["commit 0123, now 4567"]
    store.clear()
    assert store.check(points, now, keep=False) == []
