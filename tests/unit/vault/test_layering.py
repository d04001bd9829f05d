"""Layer 1 over the heads, and the layer below it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gridledger.errors import ConflictError, GridLedgerError
from services.vault.dealer import Dealer
from services.vault.errors import TooFewAnswered
from services.vault.layering import get_layered, layer_below, name_below
from tests.support.vault_parties import Parties

DATA = b"one-line diagram " * 300
READERS = "OR('SecurityMSP.member', 'TransformerMSP.member', 'BreakerMSP.member', 'BaseMSP.member')"


@pytest_asyncio.fixture
async def parties(tmp_path: Path) -> AsyncIterator[Parties]:
    made = await Parties(tmp_path, n=4, t=2).set_up(heads=True)
    yield made
    made.close()


async def test_a_head_s_share_is_read_from_its_cluster(parties: Parties) -> None:
    async with Dealer(parties.session(parties.base), audits=2) as dealer:
        sending = await dealer.put("plan", DATA, "heads", readers=READERS)
        await dealer.finish()
        assert sorted(sending.acked) == ["m1-1", "m2-1", "m3-1"]
    for head in ("m1-1", "m2-1"):
        session = parties.session(parties.hosted[head].own.identity)
        async with Dealer(session, audits=2) as dealer:
            below = await layer_below(session, dealer, "plan", head)
            await dealer.finish()
            assert (below.object, below.n) == (f"plan.{head}", 4)
    reader = parties.session(parties.reader)
    assert (await get_layered(reader, "plan", "study")).data == DATA
    parties.away = {"m1-1", "m2-1"}
    read = await get_layered(reader, "plan", "study")
    assert (read.data, read.answered) == (DATA, ("m1-1", "m2-1"))
    parties.away = {"m1-1", "m2-1", "m1-2", "m1-3", "m2-2", "m2-3"}
    with pytest.raises((TooFewAnswered, ConflictError)):
        await get_layered(reader, "plan", "study")


@pytest.mark.parametrize("named", [True, False])
async def test_a_head_that_shares_again_may_read_where_no_readers_are_named(parties: Parties, named: bool) -> None:
    head = parties.hosted["m1-1"].own.identity
    async with Dealer(parties.session(parties.base), audits=2) as dealer:
        await dealer.put("plan", DATA, "heads", heads=[head.mspid] * named)
        await dealer.finish()
    async with Dealer(parties.session(head), audits=2) as dealer:
        if named:
            assert (await layer_below(dealer.session, dealer, "plan", "m1-1")).object == "plan.m1-1"
            await dealer.finish()
        else:
            with pytest.raises(GridLedgerError, match="may not read plan"):
                await layer_below(dealer.session, dealer, "plan", "m1-1")


async def test_only_objects_over_the_heads_have_a_layer_below(parties: Parties) -> None:
    async with Dealer(parties.session(parties.dealer), audits=2) as dealer:
        await dealer.put("oil", DATA, "M1")
    session = parties.session(parties.hosted["m1-1"].own.identity)
    async with Dealer(session) as dealer:
        with pytest.raises(ConflictError, match="oil is of the cluster M1"):
            await layer_below(session, dealer, "oil", "m1-1")
    with pytest.raises(ConflictError, match="has more than 64 characters"):
        name_below("p" * 60, "m1-1")
