"""The base at work: settling, abandoning, auditing, repairing; on the real contract with real holders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from gridledger.client import ChaincodeEvent
from gridledger.errors import ConflictError, GridLedgerError
from gridledger.sharing.errors import SharingError
from services.vault.auditing import DEALER_AT_FAULT, HOLDER_AT_FAULT, HOLDER_AWAY, Auditor
from services.vault.base.tending import Tending, TendingOptions
from services.vault.cutting import AuditSecret, CutObject, Plan
from services.vault.dealer import Dealer
from services.vault.errors import NotRepaired, PutIncomplete
from services.vault.mending import mend
from services.vault.reader import Reader
from tests.support.vault_dealer import deal_falsely
from tests.support.vault_parties import READERS, Parties

DATA = b"partial discharge 12 pC, " * 3000
AUDITS = 3


@pytest_asyncio.fixture
async def parties(tmp_path: Path) -> AsyncIterator[Parties]:
    made = await Parties(tmp_path).set_up()
    yield made
    made.close()


async def put(parties: Parties, name: str = "oil", *, profile: str | None = None) -> None:
    async with Dealer(parties.session(parties.dealer), audits=AUDITS, send_within_s=0.1) as dealer:
        await dealer.put(name, DATA, "M1", readers=READERS, profile=profile)
        await dealer.finish()


def auditor(parties: Parties) -> Auditor:
    return Auditor(parties.session(parties.base), parties.base_key, now_us=parties.now_us)


def tending(parties: Parties, **options: float) -> Tending:
    chosen = TendingOptions(**({"audit_every_s": 0.0, "repair_again_s": 1.0} | options))  # type: ignore[arg-type]
    clock = lambda: parties.now_us() / 1e6  # noqa: E731
    return Tending(
        parties.session(parties.base), auditor(parties), Random(1), chosen, clock=clock, now_us=parties.now_us
    )


async def answer(parties: Parties, holder: str, number: int, name: str = "oil", version: int = 1) -> None:
    """Let a holder answer an audit, as its process does when the event comes."""
    ledger = parties.session(parties.base).ledger
    audit = await ledger.get_audit(name, holder, number, version)
    await parties.hosted[holder].upkeep.answer_audit(audit)


async def audited(parties: Parties, holder: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """An audit whose holder answers as soon as it is challenged."""
    made = auditor(parties)
    challenge = made._session.ledger.challenge

    async def challenged(name: str, who: str, number: int, **more: object) -> object:
        told = await challenge(name, who, number, **more)  # type: ignore[arg-type]
        await answer(parties, who, number, name)
        return told

    monkeypatch.setattr(made._session.ledger, "challenge", challenged)
    return await made.audit("oil", holder, wait_s=1.0)


async def test_what_its_dealer_did_not_settle_is_settled(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise GridLedgerError("the dealer is dead")

    session = parties.session(parties.dealer)
    parties.older = set(parties.hosted)  # which acknowledge by themselves, so that nothing settles but Settle
    monkeypatch.setattr(session.ledger, "settle", refuse)
    async with Dealer(session, audits=AUDITS) as dealer:
        await dealer.put("oil", DATA, "M1")
    ledger = parties.session(parties.base).ledger
    assert (await ledger.get_object("oil"))["status"] == "open"
    await tending(parties).look()
    assert (await ledger.get_object("oil"))["status"] == "stored"


async def test_what_stays_incomplete_is_abandoned_after_its_time(parties: Parties) -> None:
    parties.away = {"m1-3", "m1-4", "m1-5"}
    with pytest.raises(PutIncomplete):
        await put(parties)
    ledger, base = parties.session(parties.base).ledger, tending(parties, abandon_after_s=600)
    parties.later(400)
    await base.look()
    assert (await ledger.get_object("oil"))["status"] == "incomplete"
    assert base.seen.objects == {"incomplete": 1}
    parties.later(300)
    await base.look()
    assert (await ledger.get_object("oil"))["abandoned"]["reason"] == "fewer than t holders acknowledged within 12 min"


async def test_a_share_that_was_proved_wrong_is_repaired(parties: Parties) -> None:
    await put(parties)
    right = parties.share_file("m1-2", "oil").read_bytes()
    parties.flip("m1-2", "oil")
    reader = Reader(parties.session(parties.reader))
    assert (await reader.get("oil", "study", ask_all=True)).reported == ("m1-2",)
    await tending(parties).look()
    assert parties.share_file("m1-2", "oil").read_bytes() == right
    read = await reader.get("oil", "study", ask_all=True)
    assert (read.data, read.reported, sorted(read.answered)) == (DATA, (), [f"m1-{n}" for n in range(1, 6)])
    health = await parties.session(parties.base).ledger.get_health("oil")
    assert [each["repairs"] for each in health["holders"]] == [0, 1, 0, 0, 0]
    assert health["enough"]


async def test_a_holder_that_was_away_at_the_put_gets_its_share(parties: Parties) -> None:
    parties.away = {"m1-5"}
    await put(parties)
    base, ledger = tending(parties), parties.session(parties.base).ledger
    parties.later(59)
    await base.look()
    assert [item async for item in ledger.reads("oil")] == [], "its dealer may still reach it"
    parties.later(2)
    await base.look()
    assert [item["purpose"] async for item in ledger.reads("oil")] == ["repair"]
    assert not parties.share_file("m1-5", "oil").exists()
    parties.away = set()
    await base.look()  # not yet: it is tried again later
    assert not parties.share_file("m1-5", "oil").exists()
    parties.later(10)
    await base.look()
    assert parties.share_file("m1-5", "oil").exists()
    assert (await parties.session(parties.base).ledger.get_health("oil"))["live"] == 5


async def test_what_a_dealer_gave_up_with_t_shares_out_is_completed(parties: Parties) -> None:
    parties.away = {"m1-4", "m1-5"}
    with pytest.raises(PutIncomplete):
        await put(parties)
    parties.away = set()
    base, ledger = tending(parties), parties.session(parties.base).ledger
    await base.look()  # not yet: the dealer may be at work
    assert not parties.share_file("m1-4", "oil").exists()
    parties.later(61)
    await base.look()
    await base.look()
    assert (await ledger.get_object("oil"))["status"] == "stored"
    assert (await ledger.get_health("oil"))["live"] == 5


async def test_events_are_followed_again_after_a_failure(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.vault.base.tending._FIRST_PAUSE_S", 0.001)
    await put(parties)
    parties.flip("m1-2", "oil")
    right = (await Reader(parties.session(parties.reader)).get("oil", "study", ask_all=True)).reported
    assert right == ("m1-2",)
    streams: list[int] = []
    ended = asyncio.Event()

    async def events() -> AsyncIterator[ChaincodeEvent]:
        streams.append(1)
        if len(streams) == 1:
            raise GridLedgerError("no peer answers")
        for name, payload in (("BadShare", {"object": "oil"}), ("BadShare", {"object": "none"}), ("Joined", None)):
            yield ChaincodeEvent("vault", "vault", name, payload, "0" * 64, 1, 0, 0)
        ended.set()
        await asyncio.Event().wait()

    following = asyncio.create_task(tending(parties).follow(events))
    await asyncio.wait_for(ended.wait(), 5)
    following.cancel()
    health = await parties.session(parties.base).ledger.get_health("oil")
    assert health["holders"][1]["repairs"] == 1


@pytest.mark.parametrize("profile", ["shamir", "copies"])
async def test_other_profiles_are_repaired_too(parties: Parties, profile: str) -> None:
    await put(parties, profile=profile)
    right = parties.share_file("m1-2", "oil").read_bytes()
    parties.flip("m1-2", "oil")
    mended = await mend(parties.session(parties.base), "oil", "m1-2")
    assert (mended.holder, len(mended.contributors)) == ("m1-2", 1 if profile == "copies" else 3)
    assert parties.share_file("m1-2", "oil").read_bytes() == right


async def test_an_article_object_is_repaired_by_its_owner_alone(parties: Parties) -> None:
    await put(parties, profile="article")
    right = parties.share_file("m1-2", "oil").read_bytes()
    parties.flip("m1-2", "oil")
    with pytest.raises(GridLedgerError):
        await mend(parties.session(parties.base), "oil", "m1-2")
    await mend(parties.session(parties.dealer), "oil", "m1-2")
    assert parties.share_file("m1-2", "oil").read_bytes() == right


async def test_who_is_revoked_is_not_repaired(parties: Parties) -> None:
    await put(parties)
    base = parties.session(parties.base)
    await base.ledger.revoke("stolen", holder="m1-2")
    with pytest.raises(NotRepaired, match="m1-2 is not active"):
        await mend(base, "oil", "m1-2")
    with pytest.raises(NotRepaired, match="m2-1 has no share of version 1 of oil"):
        await mend(base, "oil", "m2-1")
    made = tending(parties)
    await made.look()
    assert made.seen.reshare_due == ["oil"]


async def test_audits_are_passed_and_spent(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(parties)
    for number in range(AUDITS):
        told = await audited(parties, "m1-2", monkeypatch)
        assert (told.number, told.outcome, told.finding) == (number, "passed", None)  # type: ignore[attr-defined]
    with pytest.raises(ConflictError, match="the audits of m1-2 for oil are spent"):
        await audited(parties, "m1-2", monkeypatch)


async def test_a_damaged_share_fails_its_audit_and_is_repaired(parties: Parties) -> None:
    await put(parties)
    parties.flip("m1-2", "oil")
    base = auditor(parties)
    opened = await base.audit("oil", "m1-2", wait_s=0.0)
    assert opened.outcome is None
    parties.later(90)
    made = tending(parties)
    await made.look()
    assert [found["finding"] for found in made.seen.findings] == [HOLDER_AT_FAULT]
    await made.look()
    health = await parties.session(parties.base).ledger.get_health("oil")
    assert (health["holders"][1]["live"], health["holders"][1]["repairs"]) == (True, 1)


async def test_a_holder_that_was_away_is_excused_once_it_serves(parties: Parties) -> None:
    await put(parties)
    parties.away = {"m1-2"}
    await auditor(parties).audit("oil", "m1-2", wait_s=0.0)
    parties.later(90)
    made, ledger = tending(parties), parties.session(parties.base).ledger
    await made.look()
    last = (await ledger.get_health("oil"))["holders"][1]
    assert (last["audits"]["last"]["outcome"], last["audits"]["last"]["finding"], last["live"]) == (
        "unanswered",
        None,
        False,
    )
    parties.away = set()
    await made.look()
    assert made.seen.findings[-1]["finding"] == HOLDER_AWAY
    assert (await ledger.get_health("oil"))["holders"][1]["live"]


async def test_a_holder_that_stays_away_is_read_seldom(parties: Parties) -> None:
    """Each attempt to find out why an audit was not answered is a read on the ledger."""
    await put(parties)
    parties.away = {"m1-2"}
    await auditor(parties).audit("oil", "m1-2", wait_s=0.0)
    made, ledger = tending(parties, repair_again_s=30.0), parties.session(parties.base).ledger
    for _ in range(60):
        parties.later(60)
        await made.look()
    reads = [each["purpose"] async for each in ledger.reads("oil")]
    assert 4 <= reads.count("audit") <= 9


@pytest.mark.parametrize("how", ["commitments", "rubbish", "other root"])
async def test_a_dealer_that_prepared_false_audits_is_at_fault(
    parties: Parties, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def prepare_falsely(cut: CutObject, other: CutObject) -> None:
        if how == "rubbish":
            cut.manifest["audit_secret"] = "AAAA"
            return
        cut.manifest["audit_secret"] = other.manifest["audit_secret"]
        if how == "commitments":
            for mine, wrong in zip(cut.manifest["shares"], other.manifest["shares"], strict=True):
                mine["audit_root"] = wrong["audit_root"]

    await deal_falsely(parties.session(parties.dealer), "M1", "oil", DATA, prepare_falsely, audits=AUDITS)
    told = await audited(parties, "m1-2", monkeypatch)
    expected = "failed" if how == "commitments" else None
    assert (told.outcome, told.finding) == (expected, DEALER_AT_FAULT)  # type: ignore[attr-defined]
    assert (await parties.session(parties.base).ledger.get_health("oil"))["holders"][1]["live"]


async def test_shares_are_audited_from_time_to_time(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(parties)
    made = tending(parties, audit_every_s=100.0)
    ledger = made._session.ledger
    challenge = ledger.challenge

    async def challenged(name: str, who: str, number: int, **more: object) -> object:
        told = await challenge(name, who, number, **more)  # type: ignore[arg-type]
        await answer(parties, who, number, name)
        return told

    monkeypatch.setattr(made._auditor._session.ledger, "challenge", challenged)
    for _ in range(3):
        await made.look()
        parties.later(101)
    await made.look()
    health = await ledger.get_health("oil")
    assert sum(each["audits"]["passed"] for each in health["holders"]) in (3, 4)


def test_a_secret_for_too_many_holders_is_refused(parties: Parties) -> None:
    plan = Plan("vault", "oil", 1, 1, "M1", "sealed", 5, tuple((f"h{n}", n) for n in range(1, 65)))
    commitments = {name: [bytes(32)] * 200 for name, _ in plan.holders}
    with pytest.raises(SharingError, match="audits: 64 holders can have at most 64 audits each"):
        AuditSecret(bytes(32), commitments).seal(parties.base_key.public, plan)


async def test_an_event_and_a_look_at_once_repair_a_share_once(parties: Parties) -> None:
    await put(parties)
    parties.flip("m1-2", "oil")
    reader = Reader(parties.session(parties.reader), answer_within_s=0.5)
    assert (await reader.get("oil", "study", ask_all=True)).reported == ("m1-2",)
    base = tending(parties)
    await asyncio.gather(base.tend("oil"), base.tend("oil"))
    health = await parties.session(parties.base).ledger.get_health("oil")
    assert [each["repairs"] for each in health["holders"] if each["holder"] == "m1-2"] == [1]
