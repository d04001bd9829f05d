"""Who may change which incarnations of an orderer take part, and how an orderer enters anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from gridledger.errors import GridLedgerError, InputError, NotFoundError, PermissionDeniedError
from services.orderer.membership import change_membership
from services.orderer.opening import open_orderer
from services.orderer.orderer import Orderer
from tests.support.orderer_folder import CHANNEL, lone_orderer
from tests.support.paper import NOW_US, PaperNetwork
from tests.support.waiting import eventually

PAPER = PaperNetwork()
NEW = "orderer1#5f3a01c2"


@pytest_asyncio.fixture
async def orderer(tmp_path: Path) -> AsyncIterator[Orderer]:
    async with open_orderer(lone_orderer(tmp_path, PAPER), clock_us=lambda: NOW_US, random=Random(1)) as opened:

        async def leads() -> bool:
            return opened.consensus.leadership(CHANNEL).ready

        await eventually(leads, within_s=10, what="it leads")
        yield opened


ADMIN = PAPER.organisations["OrdererMSP"].issue("admin", "admin").certificate


async def test_a_new_incarnation_enters_as_a_learner(orderer: Orderer) -> None:
    await change_membership(orderer, ADMIN, CHANNEL, "add-learner", NEW)
    state = await change_membership(orderer, ADMIN, CHANNEL, "show", NEW)
    assert (state["voters"], state["learners"]) == (["orderer1"], [NEW])
    assert state["match"] == {NEW: 0}
    assert state["commit"] == 2
    state = await change_membership(orderer, ADMIN, CHANNEL, "remove", NEW)
    assert state["learners"] == []


@pytest.mark.parametrize(
    ("who", "change", "node", "refusal"),
    [
        ("admin of another organisation", "remove", "orderer1", PermissionDeniedError),
        ("client", "show", "orderer1", PermissionDeniedError),
        ("orderer", "remove", "orderer1", PermissionDeniedError),
        ("admin", "remove", "peer1", NotFoundError),
        ("admin", "add-learner", "stranger#5f3a01c2", NotFoundError),
        ("admin", "add-voter", "orderer1", InputError),
    ],
)
async def test_only_its_own_admin_changes_an_orderers_membership(
    orderer: Orderer, who: str, change: str, node: str, refusal: type[GridLedgerError]
) -> None:
    callers = {
        "admin": ADMIN,
        "admin of another organisation": PAPER.admins["Org1MSP"].certificate,
        "client": PAPER.organisations["OrdererMSP"].issue("someone", "client").certificate,
        "orderer": PAPER.orderers["orderer2"].certificate,
    }
    with pytest.raises(refusal):
        await change_membership(orderer, callers[who], CHANNEL, change, node)
    assert orderer.describe(CHANNEL)["voters"] == ["orderer1"]
