"""The demonstration's steps that need no network: recovery over all sets, the collusion, and steps that fail."""

from __future__ import annotations

import random

import pytest

from gridledger.demonstration.console import Console
from gridledger.errors import NotFoundError
from gridledger.sharing.leak import candidates_left
from services.vault.cutting import CutObject, Plan, cut_object
from services.vault.demonstration.book import Book
from services.vault.demonstration.colluding import found_in_sealed, voltages
from services.vault.demonstration.joining import WEAK, mixed
from services.vault.demonstration.storing import MEASURED, recoveries
from services.vault.monitoring import cluster_records, to_json
from services.vault.records import Manifest
from services.vault.transport import PrivateKey

HOLDERS = tuple(
    (f"m4-{word}", x) for x, word in enumerate(("head", "current-1", "current-2", "voltage-1", "voltage-2"), 401)
)
RECORD = next(each for each in cluster_records("M4", 3, seed=1) if (each.sensor, each.measure) == MEASURED)


def cut(profile: str, data: bytes, version: int = 1, seed: int = 1) -> tuple[Manifest, CutObject]:
    plan = Plan("vault", "m4-record", version, 1, "M4", profile, 3, HOLDERS)
    made = cut_object(plan, data, PrivateKey.generate().public, audits=1, randbytes=random.Random(seed).randbytes)
    told = {
        **made.manifest,
        "version": version,
        "owner": {"mspid": "MutualMSP", "certificate": "0" * 64},
        "status": "stored",
    }
    return Manifest.of(told), made


def test_any_three_of_five_recover_and_no_two() -> None:
    manifest, made = cut("sealed", b"readings" * 100)
    found = recoveries("M4", manifest, made.shares, b"readings" * 100)
    assert [(each.dead, each.subsets, each.recovered) for each in found] == [
        (0, 1, 1), (1, 5, 5), (2, 10, 10), (3, 10, 0), (4, 5, 0), (5, 1, 0),
    ]  # fmt: skip


def test_other_data_do_not_count_as_recovered() -> None:
    manifest, made = cut("sealed", b"readings" * 100)
    assert [each.recovered for each in recoveries("M4", manifest, made.shares, b"others")] == [0] * 6


def test_two_shares_of_the_article_leave_one_voltage() -> None:
    candidates = voltages(RECORD)
    data = to_json([RECORD])
    assert len(candidates) == 9001
    assert data in candidates
    manifest, made = cut("article", data)
    own = {manifest.shares[name].id: made.shares[name] for name in ("m4-voltage-2", "m4-current-1")}
    assert candidates_left(list(candidates), own, 3) == [data]
    assert candidates[data] == f"{RECORD.value:.3f} kV"


def test_two_shares_of_sealed_leave_nothing_to_be_found_and_three_do() -> None:
    data = to_json([RECORD])
    some = [data, *list(voltages(RECORD))[:20]]
    manifest, made = cut("sealed", data)
    two = {name: made.shares[name] for name in ("m4-voltage-2", "m4-current-1")}
    assert found_in_sealed(some, two, manifest) == []
    three = {**two, "m4-head": made.shares["m4-head"]}
    assert found_in_sealed(some, three, manifest) == [data]


def test_old_and_new_shares_are_mixed_in_every_way_and_never_join() -> None:
    data = b"readings" * 100
    (old, before), (new, after) = cut("sealed", data), cut("sealed", data, version=2, seed=2)
    tried, joined = mixed((old, new), before.shares, after.shares)
    assert (tried, joined) == (2 * 10 * 6, 0)
    # Shares of one version, called old and new, do join: the count can tell.
    assert mixed((old, old), before.shares, before.shares) == (120, 120)


def test_weak_ids_are_those_that_the_contract_names() -> None:
    assert [len(x) for x in WEAK] == [1, 3, 157]


async def test_a_step_that_fails_is_an_expectation_that_did_not_hold(capsys: pytest.CaptureFixture[str]) -> None:
    book = Book(Console())

    async def fails() -> None:
        book.expect("the first part", True)
        raise NotFoundError("there is no process m3c that runs")

    async def goes_on() -> None:
        book.expect("the next step", True)

    await book.act("One", fails)
    await book.act("Two", goes_on)
    assert [(each.step, each.held) for each in book.expectations] == [("One", True), ("One", False), ("Two", True)]
    assert not book.is_good
    assert "there is no process m3c" in capsys.readouterr().out


async def test_a_defect_in_a_step_is_no_expectation() -> None:
    book = Book(Console())

    async def broken() -> None:
        raise AttributeError("a defect")

    with pytest.raises(AttributeError):
        await book.act("One", broken)
