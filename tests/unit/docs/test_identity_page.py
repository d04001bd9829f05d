"""docs/identity.md: the default policies and the access to resources that it tells are the code's."""

from __future__ import annotations

import re

import pytest

from gridledger.protocol.acls import DEFAULT_ACLS
from gridledger.protocol.config_authority import RULES
from gridledger.protocol.config_policies import POLICY_PATHS, default_policies, organisation_policies
from tests.support.processes import REPOSITORY

PAGE = (REPOSITORY / "docs" / "identity.md").read_text()
PROTOCOL = (REPOSITORY / "docs" / "protocol.md").read_text()
FABRICS = [
    "_lifecycle/CheckCommitReadiness",
    "_lifecycle/CommitChaincodeDefinition",
    "_lifecycle/QueryChaincodeDefinition",
    "_lifecycle/QueryChaincodeDefinitions",
    "lscc/ChaincodeExists",
    "lscc/GetDeploymentSpec",
    "lscc/GetChaincodeData",
    "lscc/GetInstantiatedChaincodes",
    "qscc/GetChainInfo",
    "qscc/GetBlockByNumber",
    "qscc/GetBlockByHash",
    "qscc/GetTransactionByID",
    "qscc/GetBlockByTxID",
    "cscc/GetConfigBlock",
    "cscc/GetChannelConfig",
    "peer/Propose",
    "peer/ChaincodeToChaincode",
    "event/Block",
    "event/FilteredBlock",
]
"""The resources in the configtx.yaml of Fabric 2.5's samples."""


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")][
        2:
    ]


def test_every_resource_is_told_with_its_policy() -> None:
    told = {resource.strip("`"): policy.strip("`") for resource, _, policy, _ in rows("Access to resources")}
    assert told == dict(DEFAULT_ACLS)


@pytest.mark.parametrize("resource", FABRICS)
def test_each_of_fabrics_resources_is_named(resource: str) -> None:
    assert f"`{resource}`" in PAGE


def test_every_default_policy_is_told() -> None:
    texts = {
        (f"/Channel/{name}" if group == "Channel" else f"/Channel/{group}/{name}"): text
        for group, policies in default_policies().items()
        for name, text in policies.items()
    }
    assert texts.keys() == POLICY_PATHS
    told = {path.strip("`"): (fabrics, here) for path, fabrics, here in rows("The policies of a channel")}
    assert {path for path in told if path.startswith("/")} == POLICY_PATHS
    for path, text in texts.items():
        fabrics, here = told[path]
        assert f"`{text}`" in (here if path == "/Channel/Observer/Readers" else fabrics), path
        assert here.startswith("the same") or not fabrics, path


def test_an_organisations_default_policies_are_told() -> None:
    here = [cells[2] for cells in rows("The policies of a channel") if not cells[0].startswith("`/")]
    own = organisation_policies("X")
    assert [
        f"`{own['Writers']}`" in here[1],
        f"`{own['Admins']}`" in here[2],
        f"`{own['Endorsement']}`" in here[3],
    ] == [
        True,
        True,
        True,
    ]
    assert f"`{own['Readers']}`" in PAGE
    assert here[4] == f"`{organisation_policies('X', 'orderer')['Readers']}`"


def test_the_table_of_who_may_change_what_names_every_rule() -> None:
    section = PROTOCOL.split("\n### Who may change what\n")[1].split("\nAn organisation that was removed")[0]
    words = set(re.findall(r"[a-zA-Z_]+", section))
    for pattern, _ in RULES:
        assert {name for name in pattern if name != "*"} <= words, pattern
