"""Whom an orderer lets read a channel: its orderers too by certificates that hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gridledger.errors import AuthenticationError, PermissionDeniedError
from gridledger.identity.local_msp import LocalMSP
from gridledger.identity.msp import Identity
from gridledger.protocol import acls
from gridledger.protocol.config import Organisation
from services.orderer.block_store import BlockStore
from services.orderer.chain import Chain
from services.orderer.orderer import Channel, Orderer
from tests.support.orderer_folder import CHANNEL, lone_orderer
from tests.support.paper import NOW_US, PaperNetwork, PaperOrganisation

HUNDRED_YEARS_US = 100 * 365 * 86_400 * 1_000_000


class Serving:
    """orderer1, what it serves, and its clock."""

    def __init__(self, folder: Path, paper: PaperNetwork) -> None:
        self.now_us = NOW_US
        self.store = BlockStore.open(folder / "blocks")
        signer = paper.orderers["orderer1"]
        self.chain = Chain.open(self.store, paper.genesis, signer, cast("Any", None))
        channels = {CHANNEL: Channel(self.chain, *[cast("Any", None)] * 4)}
        self.orderer = Orderer(
            lone_orderer(folder, paper),
            cast("Any", None),
            channels,
            certificate=signer.certificate,
            local=LocalMSP(folder, "OrdererMSP", [paper.organisations["OrdererMSP"].root]),
            clock_us=lambda: self.now_us,
            peek=cast("Any", None),
            lives=cast("Any", None),
        )

    def refusal(self, caller: Identity) -> str:
        try:
            self.orderer.authorise(CHANNEL, caller, acls.DELIVER)
        except AuthenticationError as error:
            return error.code
        return ""


@pytest.fixture
def paper() -> PaperNetwork:
    return PaperNetwork()


@pytest.fixture
def serving(tmp_path: Path, paper: PaperNetwork) -> Iterator[Serving]:
    made = Serving(tmp_path, paper)
    yield made
    made.store.close()


def test_an_orderer_with_a_revoked_certificate_reads_nothing(serving: Serving, paper: PaperNetwork) -> None:
    other = paper.orderers["orderer2"]
    caller = paper.identity(other)
    assert serving.refusal(caller) == ""
    ordering = paper.organisations["OrdererMSP"]
    revoking = Organisation("OrdererMSP", (ordering.root,), crls=(ordering.crl(other),), kind="orderer")
    config = paper.config
    serving.chain.config = replace(config, organisations={**config.organisations, "OrdererMSP": revoking})
    assert serving.refusal(caller) == "CERTIFICATE_REVOKED"


def test_orderers_of_members_read_blocks_that_do_not_name_them(serving: Serving, paper: PaperNetwork) -> None:
    """One that is about to join, or was removed while it was down."""
    ordering = paper.organisations["OrdererMSP"]
    joining = paper.identity(ordering.issue("orderer4", "orderer"))
    assert serving.orderer.authorise(CHANNEL, joining, acls.DELIVER)
    for caller in (
        ordering.issue("someone", "client"),
        paper.organisations["Org1MSP"].issue("orderer5", "orderer"),
    ):
        with pytest.raises(PermissionDeniedError):
            serving.orderer.authorise(CHANNEL, paper.identity(caller), acls.DELIVER)


def test_an_orderer_that_is_not_named_may_read_and_no_more(serving: Serving, paper: PaperNetwork) -> None:
    """Where the channel lets the application alone broadcast, the right to read blocks lets nobody else in."""
    serving.chain.config = replace(paper.config, acls={acls.BROADCAST: "/Channel/Application/Writers"})
    joining = paper.identity(paper.organisations["OrdererMSP"].issue("orderer4", "orderer"))
    assert serving.orderer.authorise(CHANNEL, joining, acls.DELIVER)
    with pytest.raises(PermissionDeniedError) as caught:
        serving.orderer.authorise(CHANNEL, joining, acls.BROADCAST)
    assert caught.value.details["resource"] == acls.BROADCAST


def test_an_orderer_with_an_expired_certificate_reads_nothing(serving: Serving, paper: PaperNetwork) -> None:
    caller = paper.identity(paper.orderers["orderer2"])
    serving.now_us += HUNDRED_YEARS_US
    assert serving.refusal(caller) == "CERTIFICATE_EXPIRED"


def test_a_channels_admins_make_themselves_no_admins_of_an_orderer(serving: Serving, paper: PaperNetwork) -> None:
    ordering, theirs = paper.organisations["OrdererMSP"], PaperOrganisation("OrdererMSP")
    both = Organisation("OrdererMSP", (theirs.root, ordering.root), kind="orderer")
    serving.chain.config = replace(paper.config, organisations={**paper.config.organisations, "OrdererMSP": both})
    for organisation, expected in ((ordering, True), (theirs, False)):
        caller = serving.orderer.authenticate(organisation.issue("admin", "admin").certificate)
        assert (caller.mspid, caller.role) == ("OrdererMSP", "admin")
        assert serving.orderer.is_own_admin(caller) is expected


def test_an_admin_whom_no_channel_knows_is_known_to_its_own_orderer(serving: Serving, paper: PaperNetwork) -> None:
    """So an orderer without a channel can be administered, and one whose channel has lost its organisation."""
    boss = paper.organisations["OrdererMSP"].issue("boss", "admin").certificate
    stranger = PaperOrganisation("OrdererMSP").issue("boss", "admin").certificate
    client = paper.organisations["OrdererMSP"].issue("boss", "client").certificate
    serving.orderer.channels.clear()
    assert serving.orderer.is_own_admin(serving.orderer.authenticate(boss))
    for nobody in (stranger, client):
        with pytest.raises(AuthenticationError):
            serving.orderer.authenticate(nobody)


def test_a_channel_that_revokes_an_admin_takes_no_orderer_from_it(serving: Serving, paper: PaperNetwork) -> None:
    ordering = paper.organisations["OrdererMSP"]
    revoking = Organisation("OrdererMSP", (ordering.root,), crls=(ordering.crl(paper.orderer_admin),), kind="orderer")
    config = paper.config
    serving.chain.config = replace(config, organisations={**config.organisations, "OrdererMSP": revoking})
    assert serving.orderer.is_own_admin(serving.orderer.authenticate(paper.orderer_admin.certificate))


def test_a_published_list_shuts_an_admin_out_at_once(serving: Serving, paper: PaperNetwork) -> None:
    """The channel does not know of it yet, and goes on to take the admin for a member."""
    caller = serving.orderer.authenticate(paper.orderer_admin.certificate)
    assert serving.orderer.is_own_admin(caller)
    serving.orderer.local.publish(paper.organisations["OrdererMSP"].crl(paper.orderer_admin).encode())
    assert serving.orderer.authenticate(paper.orderer_admin.certificate) == caller
    assert not serving.orderer.is_own_admin(caller)
