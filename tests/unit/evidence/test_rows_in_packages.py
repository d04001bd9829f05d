"""Rows of a batch in a package: each is proved by its path to the root on the ledger, without the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.errors import InputError
from gridledger.evidence.canonical_zip import pack, unpack
from gridledger.evidence.off_chain import ROWS, RowPart
from gridledger.evidence.package import Package, Place, read_package, write_package
from gridledger.evidence.report import Broken, Report, Step
from gridledger.evidence.rows import row_path, row_text, rows_root
from gridledger.evidence.told import told_events
from gridledger.evidence.verification import verify_package
from tests.support.events_channel import Device
from tests.support.evidence_world import DEVICES, SECTION, EvidenceWorld
from tests.support.paper import NOW_US

TEXTS = [row_text(("time_us", "frequency"), (NOW_US + each, 50 + each / 1000)) for each in range(300)]


def row(index: int, seq: int = 1, texts: list[bytes] = TEXTS) -> RowPart:
    path = tuple(bytes.fromhex(each) for each in row_path(texts, index))
    return RowPart(SECTION, "pmu-7", seq, index, texts[index].decode(), path)


@dataclass
class Made:
    world: EvidenceWorld
    package: Package


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    world = EvidenceWorld(tmp_path_factory.mktemp("rows"))
    world.register("pmu-7")
    device = Device("pmu-7", SECTION)
    lightnode = world.person("lightnode")
    said: list[Place] = []
    for texts in (TEXTS, TEXTS[:7]):
        batch = device.tell_batch(
            NOW_US,
            NOW_US + 1000,
            rows=len(texts),
            root=rows_root(texts),
            synopsis={"frequency": [len(texts), 50.0, 50.15, 50.299]},
        )
        said.append(world.call(SECTION, "LogBatch", batch, lightnode))
    said.append(world.log(device))
    world.anchor(DEVICES)
    world.anchor(SECTION)
    rows = (row(0), row(17), row(299), row(6, 2, TEXTS[:7]))
    return Made(world, replace(world.package(*said), rows=rows))


def verified(made: Made, package: Package) -> Report:
    return verify_package(write_package(package), roots=made.world.roots, general_genesis=made.world.genesis)


def broken(made: Made, *rows: RowPart) -> Step:
    report = verified(made, replace(made.package, rows=rows))
    assert report.broken is not None
    assert report.exit_code == 1
    return report.broken


def test_rows_are_proved_each_by_itself(made: Made) -> None:
    report = verified(made, made.package)
    assert report.broken is None, report.broken
    assert report.exit_code == 0
    assert [(item.seq, item.index) for item in report.rows] == [(1, 0), (1, 17), (1, 299), (2, 6)]
    assert report.rows[1].row == TEXTS[17].decode()
    [step] = [step for step in report.steps if step.name == "rows"]
    assert (step.file, step.message) == ("rows.json", "4 rows are under the roots of their 2 batches")
    assert report.to_dict()["rows"][1]["row"] == TEXTS[17].decode()
    assert read_package(write_package(made.package)) == made.package
    # The package has not the other rows.
    assert TEXTS[18] not in write_package(made.package)


WRONG: dict[str, Callable[[RowPart], RowPart]] = {
    "a value": lambda part: replace(part, row=part.row.replace("50.017", "50.018")),
    "another row's text": lambda part: replace(part, row=TEXTS[18].decode()),
    "another place": lambda part: replace(part, index=16),
    "a place behind all rows": lambda part: replace(part, index=300),
    "a path that is cut short": lambda part: replace(part, path=part.path[:-1]),
    "a path that is too long": lambda part: replace(part, path=(*part.path, part.path[0])),
    "another path": lambda part: replace(part, path=row(18).path),
    "another batch": lambda part: replace(part, seq=2),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_row_that_is_changed_is_named(what: str, made: Made) -> None:
    wrong = WRONG[what](row(17))
    step = broken(made, *sorted((row(0), wrong), key=lambda part: part.place))
    assert (step.name, step.file) == ("rows", "rows.json")
    name = f"row {wrong.index} of batch {wrong.seq} of pmu-7 on section-plant"
    assert step.message == f"{name} is not what the batch's root is over"


@pytest.mark.parametrize(
    "change", [{"seq": 3}, {"seq": 9}, {"device": "pmu-8"}, {"channel": "section-home"}, {"channel": "devices"}]
)
def test_a_row_of_a_batch_that_is_not_in_the_package_is_refused(change: dict[str, object], made: Made) -> None:
    step = broken(made, replace(row(17), **change))  # type: ignore[arg-type]
    assert step.name == "rows"
    assert step.message.endswith(": the batch is not in the package")


def test_rows_stand_in_one_order_and_each_once(made: Made) -> None:
    for rows in ((row(17), row(0)), (row(17), row(17))):
        step = broken(made, *rows)
        assert (step.name, step.file) == ("form", "rows.json")
        assert "must ascend" in step.message


def test_what_is_no_row_is_refused(made: Made) -> None:
    files = unpack(write_package(made.package))
    good = jsontext.loads(files[ROWS])
    for change in ({"index": -1}, {"path": ["0"]}, {"more": 1}, {"row": 7}, {"seq": "1"}, {"row": "x" * 20_000}):
        changed = dict(files)
        changed[ROWS] = jsontext.dumps([{**good[0], **change}])
        manifest = jsontext.loads(files["manifest.json"])
        manifest["files"][ROWS] = sha256(changed[ROWS]).hexdigest()
        changed["manifest.json"] = jsontext.dumps(manifest)
        with pytest.raises(Broken) as caught:
            read_package(pack(changed))
        assert (caught.value.step, caught.value.field) == ("form", "rows.json")


def test_what_devices_say_is_read_or_refused(made: Made) -> None:
    batch = Device("pmu-7", SECTION).tell_batch(NOW_US, NOW_US + 1000, rows=3, root="ab" * 32)
    [told] = told_events("LogBatch", [batch])
    assert told.batch is not None
    assert (told.kind, told.seq, told.batch.rows, told.batch.root) == ("batch", 1, 3, "ab" * 32)
    assert told_events("LogEvents", [{"device": "pmu-7", "events": [batch]}]) == [told]
    wrong: list[list[Any]] = [
        [],
        [None],
        [{}],
        [{**batch, "rows": True}],
        [{**batch, "root": 1}],
        [{**batch, "seq": "1"}],
    ]
    for arguments in wrong:
        with pytest.raises(InputError, match=r"^event: "):
            told_events("LogBatch", arguments)
