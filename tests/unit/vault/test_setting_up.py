"""A vault from its description: what a description may be, and what set-up does and does not do again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gridledger.client import ConnectionProfile
from gridledger.errors import ConflictError, NotFoundError, SettingsError, UnavailableError
from services.vault.cycling import begin_next, following
from services.vault.described import described_vault, mspid_of, organisation_of
from services.vault.setting_up import set_up
from tests.support.vault_parties import Parties

CLUSTER = {"organisation": "Security", "t": 2, "spare": 0, "head": "m1-1", "holders": ["m1-1", "m1-2", "m1-3"]}
VAULT = {"chaincode": "vault", "channel": "vault", "base": "Base", "clusters": {"M1": CLUSTER}}


def profile(vault: Any = None) -> ConnectionProfile:
    """A connection profile whose description has this vault."""
    peers = {
        name.lower(): {"url": "https://localhost:1", "organisation": name, "mspid": f"{name}MSP"}
        for name in ("Base", "Security", "Transformer")
    }
    return ConnectionProfile.model_validate(
        {
            "name": "test",
            "channels": {"vault": {"peers": tuple(peers)}},
            "peers": peers,
            "orderers": {},
            "ca": {"url": "https://localhost:2", "tls_root": "ca.pem", "organisations": ("Base", "Security")},
            "roots": "roots.pem",
            "organisations": "organisations",
            "applications": {} if vault is None else {"vault": vault},
        }
    )


@pytest.mark.parametrize(
    ("vault", "message"),
    [
        (None, "has no vault"),
        ({"chaincode": "vault"}, "lacks 'channel'"),
        (VAULT | {"colour": "red"}, "applications.vault.colour of the network test"),
        (VAULT | {"clusters": {"M1": CLUSTER | {"t": 1}}}, "applications.vault.clusters.M1.t of the network test"),
        (VAULT | {"clusters": {"M1": CLUSTER | {"head": None}}}, "M1 of the network test wants organisation, head and"),
        (VAULT | {"clusters": {"M1": CLUSTER | {"head": "m1-9"}}}, "its head m1-9 is none of its holders"),
        (VAULT | {"clusters": {"heads": CLUSTER}}, "heads of the network test has no organisation, head or holders"),
    ],
)
def test_a_description_that_cannot_be_is_told_by_its_member(vault: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        described_vault(profile(vault))


def test_organisations_and_their_msps_are_found() -> None:
    here = profile(VAULT)
    assert (mspid_of(here, "Security"), organisation_of(here, "SecurityMSP")) == ("SecurityMSP", "Security")
    for ask in (mspid_of, organisation_of):
        with pytest.raises(NotFoundError):
            ask(here, "Elsewhere")


@pytest_asyncio.fixture
async def parties(tmp_path: Path) -> AsyncIterator[Parties]:
    made = Parties(tmp_path)
    yield made
    made.close()


async def test_set_up_waits_for_base_and_holders_and_names_who_is_missing(parties: Parties) -> None:
    ledger, here = parties.session(parties.base).ledger, profile(VAULT)
    with pytest.raises(UnavailableError, match="the base has no key on the ledger"):
        await set_up(ledger, here, described_vault(here), wait_s=0)
    await ledger.set_base(parties.base_key.public.text, "https://127.0.0.1:5200")
    with pytest.raises(UnavailableError, match="3 of 3 holders have not joined: m1-1, m1-2, m1-3"):
        await set_up(ledger, here, described_vault(here), wait_s=0)
    for number in (1, 2, 3, 4):
        await parties.join(f"m1-{number}", 100 + number, admit=False)
    done = await set_up(ledger, here, described_vault(here), wait_s=0)
    assert (done["clusters"], done["admitted"]) == ({"M1": "unchanged"}, ["m1-1", "m1-2", "m1-3"])
    assert (done["cycle"], done["begun"]) == (1, True)
    assert (await ledger.get_holder("m1-4"))["record"] is None
    changed = described_vault(profile(VAULT | {"clusters": {"M1": CLUSTER | {"profile": "shamir"}}}))
    again = await set_up(ledger, here, changed, wait_s=0)
    assert (again["clusters"], again["admitted"], again["begun"]) == ({"M1": "set"}, [], False)


async def test_heads_change_round_robin(parties: Parties) -> None:
    await parties.set_up()
    ledger = parties.session(parties.base).ledger
    assert (await begin_next(ledger))[1] == {}
    assert (await begin_next(ledger, rotate=True))[1] == {"M1": "m1-2", "M2": "m2-2"}
    assert (await begin_next(ledger, rotate=True, heads={"M1": "m1-5"}))[1] == {"M1": "m1-5", "M2": "m2-3"}
    assert (await begin_next(ledger, rotate=True))[1] == {"M1": "m1-1", "M2": "m2-4"}
    assert following(["b", "a"], None) == "a"
    with pytest.raises(ConflictError):
        following([], "a")


async def test_a_cluster_that_is_left_out_keeps_its_head(parties: Parties) -> None:
    await parties.set_up()
    ledger = parties.session(parties.base).ledger
    begun, heads = await begin_next(ledger, rotate=True, without=["M2"])
    assert ([each["cluster"] for each in begun["clusters"]], heads) == (["M1"], {"M1": "m1-2"})
    begun, heads = await begin_next(ledger)
    assert ([each["head"] for each in begun["clusters"]], heads) == (["m1-2", "m2-1"], {})
