"""Who is admitted to what by default: a table of resources, callers and verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridledger.errors import PermissionDeniedError
from gridledger.identity.msp import Identity
from gridledger.protocol.acls import DEFAULT_ACLS
from gridledger.protocol.config import Organisation
from tests.support.paper import NOW_US, PaperNetwork, PaperOrganisation, paper_policies

PAPER = PaperNetwork()
ROOM = PaperOrganisation("ControlRoomMSP")
CONFIG = replace(
    PAPER.config,
    organisations={
        **PAPER.config.organisations,
        "ControlRoomMSP": Organisation("ControlRoomMSP", (ROOM.root,), kind="observer"),
    },
)


def callers() -> dict[str, Identity]:
    signers = {
        "client": PAPER.client,
        "peer": PAPER.peers["peer2"],
        "admin": PAPER.admins["Org2MSP"],
        "its orderer": PAPER.organisations["Org1MSP"].issue("odd", "orderer"),
        "orderer": PAPER.orderers["orderer1"],
        "orderers' admin": PAPER.orderer_admin,
        "observer": ROOM.issue("operator", "client"),
        "observer's admin": ROOM.issue("admin", "admin"),
    }
    return {name: CONFIG.msps.identify(signer.certificate, NOW_US) for name, signer in signers.items()}


CALLERS = callers()
TABLE = {
    "peer/Propose": "client | peer | admin",
    "gateway/Submit": "client | peer | admin",
    "gateway/SubmitConfig": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "gateway/Evaluate": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "gateway/CommitStatus": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "gateway/ChaincodeEvents": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "event/Block": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "event/FilteredBlock": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "qscc/GetChainInfo": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "qscc/GetBlockByNumber": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "qscc/GetTransactionByID": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "cscc/GetChannelConfig": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "_lifecycle/QueryChaincodeDefinition": (
        "client | peer | admin | orderer | orderers' admin | observer | observer's admin"
    ),
    "discovery/Peers": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "history/GetHistoryForKey": "client | peer | admin | orderer | orderers' admin | observer | observer's admin",
    "orderer/Broadcast": "client | peer | admin | orderer | orderers' admin",
    "orderer/Deliver": "client | peer | admin",
}
"""By resource: who of the callers is admitted."""

ROWS = [(resource, who, who in admitted.split(" | ")) for resource, admitted in TABLE.items() for who in CALLERS]


@pytest.mark.parametrize(("resource", "who", "admitted"), ROWS)
def test_a_resource_admits_whom_its_policy_names(resource: str, who: str, *, admitted: bool) -> None:
    if admitted:
        CONFIG.admit(resource, CALLERS[who])
        return
    with pytest.raises(PermissionDeniedError) as caught:
        CONFIG.admit(resource, CALLERS[who])
    assert caught.value.details == {"resource": resource, "policy": DEFAULT_ACLS[resource]}


def test_the_table_has_every_resource() -> None:
    assert TABLE.keys() == DEFAULT_ACLS.keys()
    assert len(ROWS) >= 80


def test_another_policy_of_a_group_changes_who_is_admitted() -> None:
    admins_read = replace(CONFIG, policies=paper_policies({"Observer/Readers": "'ControlRoomMSP.admin'"}))
    admins_read.admit("gateway/Evaluate", CALLERS["observer's admin"])
    with pytest.raises(PermissionDeniedError):
        admins_read.admit("gateway/Evaluate", CALLERS["observer"])
    writers = replace(CONFIG, acls={"gateway/Evaluate": "/Channel/Application/Writers"})
    with pytest.raises(PermissionDeniedError, match="/Channel/Application/Writers"):
        writers.admit("gateway/Evaluate", CALLERS["observer's admin"])
