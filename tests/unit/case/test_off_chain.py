"""A package takes from light nodes what the ledger has of its own events, and tells what it did not get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.errors import LimitError, NotFoundError, PermissionDeniedError, UnavailableError
from gridledger.evidence.events import salted_hash
from gridledger.evidence.package import Package, Place, write_package
from gridledger.evidence.rows import row_path, row_text, rows_root
from gridledger.evidence.verification import verify_package
from services.case import off_chain
from services.case.off_chain import with_parts
from services.case.questions import BLOCK, Question, Scope
from services.case.rows import Row
from tests.support.desk_world import FakeLightNodes
from tests.support.events_channel import Device
from tests.support.evidence_world import DEVICES, SECTION, EvidenceWorld
from tests.support.paper import NOW_US

S = 1_000_000
FILE = b"a Parquet file"
SALT = b"salt" * 4
BODY = '{"kwh":17}'
TEXTS = [row_text(("time_us", "frequency"), (NOW_US + each * S, 50 + each / 1000)) for each in range(60)]
SCOPE = Scope((SECTION,), NOW_US - 100 * S, NOW_US + 1000 * S, None, None, None)
ALL = ("bodies", "files", "rows")


@dataclass
class Made:
    world: EvidenceWorld
    places: list[Place]
    package: Package


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    world = EvidenceWorld(tmp_path_factory.mktemp("parts"))
    world.register("pmu-7")
    device, lightnode = Device("pmu-7", SECTION), world.person("lightnode")

    def batch(from_us: int) -> dict[str, Any]:
        return device.tell_batch(
            from_us,
            from_us + 60 * S,
            rows=60,
            root=rows_root(TEXTS),
            sha256=sha256(FILE).hexdigest(),
            synopsis={"frequency": [60, 50.0, 50.03, 50.059]},
        )

    # Two batches in one call, an event whose body is on the ledger, one whose body is not.
    told = [{key: value for key, value in batch(NOW_US).items() if key != "device"} for _ in range(2)]
    places = [world.call(SECTION, "LogEvents", {"device": "pmu-7", "events": told}, lightnode)]
    places.append(world.log(device))
    places.append(world.log(device, "reading", body=salted_hash(SALT, BODY)))
    world.anchor(DEVICES)
    world.anchor(SECTION)
    return Made(world, places, world.package(*places))


def row(made: Made, seq: int) -> Row:
    """What a search tells of an event: all of them but the batches are alone in their transactions."""
    place = made.places[max(0, seq - 2)]
    told = dict.fromkeys(Row.__dataclass_fields__) | {"channel": SECTION, "device": "pmu-7", "seq": seq}
    return Row(**{**told, "block": place.block, "position": place.index, "item": seq - 1})  # type: ignore[arg-type]


def rows_answer(params: Mapping[str, str], limit: int = 25) -> dict[str, Any]:
    """As a light node answers, ``limit`` rows at a time."""
    begin, end, start = (int(params[name]) for name in ("from_us", "to_us", "start"))
    found = [index for index in range(start, 60) if begin <= jsontext.loads(TEXTS[index])["time_us"] < end]
    told = [{"index": each, "row": TEXTS[each].decode(), "path": row_path(TEXTS, each)} for each in found[:limit]]
    return {"root": "", "count": 60, "rows": told, "next": found[limit] if len(found) > limit else None}


@pytest.fixture
def nodes() -> FakeLightNodes:
    nodes = FakeLightNodes()
    for seq in (1, 2):
        nodes.answers |= {f"/batches/{seq}/rows": rows_answer, f"/batches/{seq}/file": FILE}
    nodes.answers["/events/4/body"] = {"device": "pmu-7", "seq": 4, "salt": SALT.hex(), "body": BODY}
    return nodes


def verified(made: Made, package: Package) -> None:
    report = verify_package(write_package(package), roots=made.world.roots, general_genesis=made.world.genesis)
    assert report.broken is None, report.broken
    assert report.exit_code == 0


async def test_all_parts_are_taken_and_proved(made: Made, nodes: FakeLightNodes) -> None:
    rows = [row(made, seq) for seq in (1, 2, 3, 4)]
    package = await with_parts(made.package, rows, Question(parts=ALL), SCOPE, nodes)
    verified(made, package)
    assert [(item.seq, item.index) for item in package.rows] == [(seq, each) for seq in (1, 2) for each in range(60)]
    assert package.attachments == {f"section-plant/pmu-7/{seq:012d}.parquet": FILE for seq in (1, 2)}
    assert [(item.seq, item.body) for item in package.bodies] == [(4, BODY)]
    assert "missing" not in package.about
    # Nobody is asked for the body of an event that the ledger has, and each part once a page.
    assert sorted(path for _, path, _ in nodes.asked) == [
        *("/batches/1/file", *["/batches/1/rows"] * 3, "/batches/2/file", *["/batches/2/rows"] * 3, "/events/4/body"),
    ]


async def test_only_what_the_rows_tell_of_is_taken(made: Made, nodes: FakeLightNodes) -> None:
    """The other batch of the same transaction was not asked for: it is disclosed, without rows."""
    package = await with_parts(made.package, [row(made, 2), row(made, 3)], Question(parts=("rows",)), SCOPE, nodes)
    assert {item.seq for item in package.rows} == {2}
    assert (package.attachments, package.bodies) == ({}, ())
    assert {path for _, path, _ in nodes.asked} == {"/batches/2/rows"}
    verified(made, package)


@pytest.mark.parametrize(
    ("question", "scope", "indexes"),
    [
        ({"from_us": NOW_US + 10 * S, "to_us": NOW_US + 20 * S}, {}, range(10, 20)),
        ({"from_us": NOW_US + 50 * S}, {}, range(50, 60)),
        ({}, {"from_us": NOW_US + 5 * S, "to_us": NOW_US + 7 * S}, range(5, 7)),
        ({"from_us": NOW_US + 6 * S, "to_us": NOW_US + 90 * S}, {"to_us": NOW_US + 8 * S}, range(6, 8)),
        ({"from_us": NOW_US + 10 * S, "to_us": NOW_US + 20 * S, "by": BLOCK}, {"to_us": NOW_US + 3 * S}, range(3)),
    ],
)
async def test_rows_are_those_of_the_time_of_the_question_and_of_the_case(
    question: dict[str, Any], scope: dict[str, Any], indexes: range, made: Made, nodes: FakeLightNodes
) -> None:
    asked, within = Question(parts=("files", "rows"), **question), replace(SCOPE, **scope)
    package = await with_parts(made.package, [row(made, 1)], asked, within, nodes)
    assert [item.index for item in package.rows] == list(indexes)
    verified(made, package)
    # A file has all rows of its batch: it is taken where all of them are of the case's time.
    assert bool(package.attachments) == (not scope)
    if scope:
        [missing] = package.about["missing"]
        assert missing["why"] == "file: it has rows beyond the case's time: take rows of it"
        assert not [path for _, path, _ in nodes.asked if path.endswith("file")]


async def test_what_a_node_gives_wrong_or_not_at_all_is_left_out_and_told(made: Made, nodes: FakeLightNodes) -> None:
    changed = rows_answer({"from_us": "0", "to_us": str(10**16), "start": "0"}, 60)
    changed["rows"][17]["row"] = changed["rows"][17]["row"].replace("50.017", "50.018")
    nodes.answers |= {
        "/batches/1/rows": changed,
        "/batches/1/file": FILE + b"!",
        "/batches/2/file": NotFoundError("gone", code="ROWS_GONE"),
        "/events/4/body": PermissionDeniedError("bodies are told to members of KyivMSP"),
    }
    rows = [row(made, seq) for seq in (1, 2, 4)]
    package = await with_parts(made.package, rows, Question(parts=ALL), SCOPE, nodes)
    verified(made, package)
    assert {item.seq for item in package.rows} == {2}
    assert (package.attachments, package.bodies) == ({}, ())
    told = [(each["seq"], each["part"], each["why"]) for each in package.about["missing"]]
    assert told == [
        (1, "files", "file: it is not the one whose SHA-256 the ledger has"),
        (1, "rows", "rows: row 17 is not what the batch's root is over"),
        (2, "files", "gone"),
        (4, "bodies", "bodies are told to members of KyivMSP"),
    ]
    assert package.about["missing"][2]["code"] == "ROWS_GONE"
    assert package.about["missing_count"] == 4


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"rows": [{}], "next": None},
        {"rows": [{"index": 0, "row": "x", "path": [7]}], "next": None},
        {"rows": [{"index": 0, "row": "x", "path": ["xy"]}], "next": None},
        {"rows": [], "next": 0},
        {"rows": [], "next": 60},
        {"rows": [], "next": "1"},
        {"rows": [{}] * 1001, "next": None},
    ],
)
async def test_a_node_that_answers_nonsense_is_told(answer: Any, made: Made, nodes: FakeLightNodes) -> None:
    nodes.answers["/batches/1/rows"] = answer
    package = await with_parts(made.package, [row(made, 1)], Question(parts=("rows",)), SCOPE, nodes)
    assert package.rows == ()
    assert package.about["missing_count"] == 1


@pytest.mark.parametrize(
    "answer",
    [[], {}, {"salt": "x", "body": BODY}, {"salt": "zz" * 16, "body": BODY}, {"salt": "00" * 16, "body": BODY}],
)
async def test_a_body_is_the_one_that_the_ledger_has_the_hash_of(
    answer: Any, made: Made, nodes: FakeLightNodes
) -> None:
    nodes.answers["/events/4/body"] = answer
    package = await with_parts(made.package, [row(made, 4)], Question(parts=("bodies",)), SCOPE, nodes)
    assert (package.bodies, package.about["missing_count"]) == ((), 1)


async def test_a_node_that_is_away_is_asked_once(made: Made, nodes: FakeLightNodes) -> None:
    nodes.answers["/batches/1/file"] = UnavailableError("away")
    package = await with_parts(made.package, [row(made, each) for each in (1, 2, 4)], Question(parts=ALL), SCOPE, nodes)
    assert len(nodes.asked) == 1
    assert [each["why"] for each in package.about["missing"]] == ["away"] * 5


async def test_a_package_takes_no_more_than_it_can_hold(
    made: Made, nodes: FakeLightNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(off_chain, "MAX_ROWS", 100)
    monkeypatch.setattr(off_chain, "MAX_FILE_BYTES", 20)
    for part, says in (("rows", "more than 100 rows"), ("files", "files of more than 20 bytes")):
        with pytest.raises(LimitError, match=says):
            await with_parts(made.package, [row(made, 1), row(made, 2)], Question(parts=(part,)), SCOPE, nodes)
