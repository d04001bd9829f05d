"""Dealers hand over what holders have signed, in one transaction; holders make up for a dealer that does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gridledger.errors import GridLedgerError, UnavailableError
from services.vault.dealer import Dealer
from services.vault.errors import PutIncomplete
from services.vault.holder.upkeep import ACKNOWLEDGE_AFTER_S
from services.vault.reader import Reader
from services.vault.resharing import reshare
from services.vault.wire import Signed, StoredAnswer
from tests.support.vault_parties import Parties
from tests.support.waiting import eventually

DATA = b"dissolved gas 12 ppm, " * 500
ALL = tuple(f"m1-{number}" for number in range(1, 6))


@pytest_asyncio.fixture
async def parties(tmp_path: Path) -> AsyncIterator[Parties]:
    made = await Parties(tmp_path).set_up()
    yield made
    made.close()


def dealing(parties: Parties, **more: Any) -> Dealer:
    return Dealer(parties.session(parties.dealer), audits=4, **({"send_within_s": 0.3} | more))


def calls_of(dealer: Dealer) -> list[str]:
    """What the dealer has submitted, in order."""
    asked: Any = dealer.session.ledger.contract
    return [call for call in asked.calls if not call.startswith(("Get", "List"))]


async def acks_of(parties: Parties, version: int | None = None) -> dict[str, dict[str, Any]]:
    told = await parties.session(parties.base).ledger.get_acks("oil", version)
    return {ack["holder"]: ack for ack in told["acks"]}


async def make_up(parties: Parties) -> None:
    for name in ALL:
        await parties.hosted[name].upkeep.make_up()


async def status(parties: Parties) -> str:
    return str((await parties.session(parties.base).ledger.get_object("oil"))["status"])


async def test_a_put_takes_one_transaction_for_those_it_waits_for_and_one_for_the_rest(parties: Parties) -> None:
    parties.stuck = {"m1-5"}
    async with dealing(parties, send_within_s=20.0) as dealer:
        sending = await dealer.put("oil", DATA, "M1")
        assert calls_of(dealer) == ["PutObject", "AckShares"]
        assert (sorted(sending.acked), await status(parties)) == (sorted(ALL[:4]), "stored")
        assert sorted(await acks_of(parties)) == sorted(sending.acked)
        parties.stuck.clear()
        parties.release.set()
        await dealer.finish()
        assert calls_of(dealer) == ["PutObject", "AckShares", "AckShares"]
    assert sending.acked[-1] == "m1-5"
    acks = await acks_of(parties)
    assert sorted(acks) == sorted(ALL)
    assert all("signature" in ack for ack in acks.values())


async def test_a_reshare_and_the_layer_below_take_the_same_way(parties: Parties) -> None:
    async with dealing(parties) as dealer:
        await dealer.put("oil", DATA, "M1")
        await dealer.finish()
        await reshare(dealer.session, dealer, "oil")
        await dealer.finish()
        assert [call for call in calls_of(dealer) if call in ("AckShare", "Settle")] == []
    assert all("signature" in ack for ack in (await acks_of(parties, 2)).values())
    assert (await Reader(parties.session(parties.dealer)).get("oil", "study")).manifest.version == 2


@pytest.mark.parametrize("older", [ALL[:2], ALL])
async def test_older_holders_acknowledge_by_themselves(parties: Parties, older: tuple[str, ...]) -> None:
    parties.older = set(older)
    async with dealing(parties) as dealer:
        sending = await dealer.put("oil", DATA, "M1")
        await dealer.finish()
        assert ("Settle" in calls_of(dealer)) == (older == ALL)
    assert (sorted(sending.acked), sending.failed) == (sorted(ALL), {})
    acks = await acks_of(parties)
    assert sorted(name for name in acks if "signature" not in acks[name]) == sorted(older)
    assert await status(parties) == "stored"


async def test_whose_word_is_wrong_has_failed_and_no_other(parties: Parties) -> None:
    other = parties.hosted["m1-3"].own.identity

    def by_another(answer: StoredAnswer) -> StoredAnswer:
        assert answer.signed is not None
        text = answer.signed.text
        return replace(answer, signed=Signed(text, other.sign(text.encode()), other.certificate.pem))

    parties.false_words["m1-2"] = by_another
    async with dealing(parties) as dealer:
        sending = await dealer.put("oil", DATA, "M1")
        await dealer.finish()
    assert sorted(sending.acked) == ["m1-1", "m1-3", "m1-4", "m1-5"]
    assert "signature: is not m1-2's under this text" in sending.failed["m1-2"]
    assert "m1-2" not in await acks_of(parties)

    def longer(answer: StoredAnswer) -> StoredAnswer:
        assert answer.signed is not None
        return replace(answer, signed=replace(answer.signed, text=answer.signed.text + " " * 60_000))

    parties.false_words["m1-2"] = longer
    async with dealing(parties) as dealer:
        sending = await dealer.put("gas", DATA, "M1")
        await dealer.finish()
    assert "and not what it answered" in sending.failed["m1-2"]


async def test_who_is_revoked_after_it_signed_has_failed(parties: Parties) -> None:
    await parties.join("m1-6", 106)
    base = parties.session(parties.base).ledger
    await base.begin_cycle(2)
    async with dealing(parties) as dealer:
        ack_shares = dealer.session.ledger.ack_shares

        async def late(*arguments: Any) -> Any:
            if "m1-1" not in revoked:
                revoked.append("m1-1")
                await base.revoke("stolen", holder="m1-1")
            return await ack_shares(*arguments)

        revoked: list[str] = []
        dealer.session.ledger.ack_shares = late  # type: ignore[method-assign, assignment]
        sending = await dealer.put("oil", DATA, "M1")
        await dealer.finish()
    assert "text.holder: m1-1 was revoked" in sending.failed["m1-1"]
    assert sorted(sending.acked) == ["m1-2", "m1-3", "m1-4", "m1-5", "m1-6"]
    assert await status(parties) == "stored"


@pytest.mark.parametrize("times", [1, 1000])
async def test_a_ledger_that_is_away_is_asked_again_for_a_time(parties: Parties, times: int) -> None:
    left = times
    async with dealing(parties) as dealer:
        ack_shares = dealer.session.ledger.ack_shares

        async def away(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left >= 0:
                raise UnavailableError("no orderer answers")
            return await ack_shares(*arguments)

        dealer.session.ledger.ack_shares = away  # type: ignore[method-assign, assignment]
        if times == 1:
            assert len((await dealer.put("oil", DATA, "M1")).acked) >= 4
        else:
            with pytest.raises(PutIncomplete, match=r"4 of 5 holders must acknowledge, 0 did: none; .*no orderer"):
                await dealer.put("oil", DATA, "M1")


async def test_a_dealer_that_dies_with_what_holders_signed_is_made_up_for(parties: Parties) -> None:
    async with dealing(parties) as dealer:
        asked = asyncio.Event()

        async def never(*_: Any) -> Any:
            asked.set()
            await asyncio.Event().wait()

        dealer.session.ledger.ack_shares = never  # type: ignore[method-assign, assignment]
        putting = asyncio.create_task(dealer.put("oil", DATA, "M1"))
        await asyncio.wait_for(asked.wait(), 5)

        async def all_signed() -> bool:
            return all(("oil", 1) in parties.hosted[name].own.signed_us for name in ALL)

        await eventually(all_signed, within_s=5, what="all have signed")
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
    parties.later(ACKNOWLEDGE_AFTER_S - 1)
    await make_up(parties)
    for name in ALL:
        await parties.hosted[name].upkeep.look_at_object("oil")
    assert await acks_of(parties) == {}, "the dealer may still come"
    parties.later(1)
    await make_up(parties)
    acks = await acks_of(parties)
    assert sorted(acks) == sorted(ALL)
    assert not any("signature" in ack for ack in acks.values())
    assert (await parties.session(parties.base).ledger.settle("oil"))["status"] == "stored"


async def test_a_dealer_that_comes_late_does_no_harm(parties: Parties) -> None:
    """All have acknowledged by themselves meanwhile."""
    async with dealing(parties) as dealer:
        ack_shares = dealer.session.ledger.ack_shares

        async def late(*arguments: Any) -> Any:
            parties.later(ACKNOWLEDGE_AFTER_S)
            await make_up(parties)
            told = await ack_shares(*arguments)
            assert told["added"] == []
            return told

        dealer.session.ledger.ack_shares = late  # type: ignore[method-assign, assignment]
        sending = await dealer.put("oil", DATA, "M1")
        await dealer.finish()
    assert sorted(sending.acked) == sorted(ALL)
    assert not any("signature" in ack for ack in (await acks_of(parties)).values())


async def test_an_object_that_is_abandoned_meanwhile_is_told(parties: Parties) -> None:
    async with dealing(parties) as dealer:
        ack_shares = dealer.session.ledger.ack_shares

        async def after(*arguments: Any) -> Any:
            if "oil" not in abandoned:
                abandoned.append("oil")
                await dealer.session.ledger.abandon("oil", "wrong file")
            return await ack_shares(*arguments)

        abandoned: list[str] = []
        dealer.session.ledger.ack_shares = after  # type: ignore[method-assign, assignment]
        with pytest.raises(PutIncomplete, match="oil was abandoned: wrong file"):
            await dealer.put("oil", DATA, "M1")
    with pytest.raises(GridLedgerError, match="abandoned"):
        await Reader(parties.session(parties.dealer)).get("oil", "study")
