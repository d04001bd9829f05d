"""Who may change which incarnations of an orderer take part, and how an orderer enters anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from copy import copy
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from gridledger.errors import GridLedgerError, InputError, NotFoundError, PermissionDeniedError
from gridledger.identity.signer import SigningIdentity
from services.orderer import membership_follower
from services.orderer.chain import entry_of
from services.orderer.errors import NotAnOrderer, OtherIncarnation
from services.orderer.membership import change_membership, hear_announcement
from services.orderer.opening import open_orderer
from services.orderer.orderer import Orderer
from services.orderer.raft.interface import ChangeKind, MembershipChange
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


async def add_learner(orderer: Orderer, raft_id: str) -> None:
    await orderer.consensus.change_membership(CHANNEL, MembershipChange(ChangeKind.ADD_LEARNER, raft_id))


async def test_an_admin_has_a_lost_incarnation_removed(orderer: Orderer) -> None:
    await add_learner(orderer, NEW)
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
        ("admin", "remove", "stranger#5f3a01c2", NotFoundError),
        ("admin", "add-learner", NEW, InputError),
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


JOINING = "orderer2#00c0ffee"


def announce(orderer: Orderer, who: SigningIdentity, raft_id: str, applied: int = 0) -> str:
    return hear_announcement(orderer, who.certificate, CHANNEL, raft_id, applied)


@pytest.mark.parametrize(
    ("who", "raft_id", "refusal"),
    [
        ("orderer2", JOINING, NotAnOrderer),
        ("orderer2", "orderer1", PermissionDeniedError),
        ("orderer1", NEW, OtherIncarnation),
        ("orderer1", JOINING, PermissionDeniedError),
        ("peer1", "peer1", PermissionDeniedError),
        ("orderer1", "orderer1#", InputError),
        ("orderer1", "orderer1#5f3a01c2#5f3a01c2", InputError),
        ("orderer1", "", InputError),
    ],
)
async def test_an_orderer_announces_itself_alone(
    orderer: Orderer, who: str, raft_id: str, refusal: type[GridLedgerError]
) -> None:
    with pytest.raises(GridLedgerError) as caught:
        announce(orderer, {**PAPER.orderers, **PAPER.peers}[who], raft_id)
    assert type(caught.value) is refusal
    assert announce(orderer, PAPER.orderers["orderer1"], "orderer1") == "voter"


async def test_whoever_must_be_readmitted_is_told_how(orderer: Orderer) -> None:
    with pytest.raises(OtherIncarnation, match="gridledger orderer readmit orderer1"):
        announce(orderer, PAPER.orderers["orderer1"], NEW)


async def set_orderers(orderer: Orderer, *names: str) -> None:
    """The configuration names these from now on."""
    chain = orderer.channels[CHANNEL].chain
    paper, height = copy(PAPER), chain.height
    paper.config = chain.config
    after = paper.config.with_orderers({name: PAPER.config.orderers[name] for name in names})
    update = paper.update(orderers=after.orderers, departing_orderers=after.departing_orderers)
    await orderer.consensus.propose(CHANNEL, entry_of(NOW_US, [update.to_bytes()]))
    assert await chain.wait_beyond(height, 10)
    assert chain.config.orderers.keys() == set(names)


async def test_an_orderer_that_departs_is_told_so(orderer: Orderer) -> None:
    await set_orderers(orderer, "orderer1", "orderer2")
    await add_learner(orderer, JOINING)
    await set_orderers(orderer, "orderer1")
    assert announce(orderer, PAPER.orderers["orderer2"], JOINING) == "departing"
    await change_membership(orderer, ADMIN, CHANNEL, "remove", JOINING)
    with pytest.raises(NotAnOrderer, match="configuration 2 names orderer1"):
        announce(orderer, PAPER.orderers["orderer2"], JOINING)


METRICS = {"voters": 1, "learners": 1, "changing": 1, "catch_up_round": 1, "catch_up_entries": 0, "removed": 0}


async def test_an_orderer_that_announces_itself_joins(orderer: Orderer) -> None:
    await set_orderers(orderer, "orderer1", "orderer2")
    follower = orderer.channels[CHANNEL].follower
    following = asyncio.create_task(follower.run())
    try:

        async def waits() -> bool:
            return follower.step == "orderer2 has not announced itself"

        await eventually(waits, within_s=10, what="the leader waiting")
        assert announce(orderer, PAPER.orderers["orderer2"], JOINING) == "announced"

        async def joined() -> bool:
            learners = orderer.consensus.status(CHANNEL).membership.learners
            return learners == {JOINING} and follower.step == f"{JOINING} catches up"

        await eventually(joined, within_s=10, what="the learner")
        assert announce(orderer, PAPER.orderers["orderer2"], JOINING) == "learner"
        with pytest.raises(OtherIncarnation):
            announce(orderer, PAPER.orderers["orderer2"], "orderer2#0badcafe")
        state = orderer.describe(CHANNEL)
        assert (state["learners"], state["step"]) == ([JOINING], f"{JOINING} catches up")
        assert state["catching_up"] == [{"node": JOINING, "round": 1, "behind": orderer.consensus.status(CHANNEL).last}]
        told = {name: REGISTRY.get_sample_value(f"gridledger_orderer_{name}", {"channel": CHANNEL}) for name in METRICS}
        assert told == {**METRICS, "catch_up_entries": state["catching_up"][0]["behind"]}
        assert orderer.describe(CHANNEL)["voters"] == ["orderer1"]
    finally:
        following.cancel()


async def test_an_announcement_counts_for_a_while(orderer: Orderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership_follower, "EXPIRES_S", 0.0)
    await set_orderers(orderer, "orderer1", "orderer2")
    follower = orderer.channels[CHANNEL].follower
    assert announce(orderer, PAPER.orderers["orderer2"], JOINING) == "announced"
    following = asyncio.create_task(follower.run())
    try:

        async def waits() -> bool:
            return follower.step == "orderer2 has not announced itself"

        await eventually(waits, within_s=10, what="the leader waiting")
        assert orderer.consensus.status(CHANNEL).membership.learners == set()
    finally:
        following.cancel()
