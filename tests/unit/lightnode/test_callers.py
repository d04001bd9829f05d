"""Who is told bodies that stay off the ledger."""

from __future__ import annotations

import pytest

from gridledger.errors import PermissionDeniedError
from gridledger.identity.msp import Identity
from services.lightnode.callers import Callers
from tests.support.paper import PaperOrganisation


def caller(mspid: str) -> Identity:
    return Identity(mspid, "client", PaperOrganisation(mspid).issue("a", "client").certificate)


def test_bodies_are_told_to_the_nodes_organisation_and_to_those_that_it_names() -> None:
    alone, open_to_authority = Callers({}, "KyivMSP"), Callers({}, "KyivMSP", ["AuthorityMSP"])
    alone.require_body_reader(caller("KyivMSP"))
    open_to_authority.require_body_reader(caller("KyivMSP"))
    open_to_authority.require_body_reader(caller("AuthorityMSP"))
    for callers, mspid in ((alone, "AuthorityMSP"), (open_to_authority, "LvivMSP")):
        with pytest.raises(PermissionDeniedError, match="are told to members of"):
            callers.require_body_reader(caller(mspid))
