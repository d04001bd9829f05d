"""The chaincode imports the contract API only, so it has the library's grammar and clock as files of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.contract.determinism import check_package
from tests.support.relay_channel import RELAY

FIELD = Path(__file__).parents[4] / "gridledger" / "field"


@pytest.mark.parametrize("name", ["grammar.py", "clock.py"])
def test_the_contract_s_copy_is_the_library_s_file(name: str) -> None:
    assert (RELAY / name).read_bytes() == (FIELD / name).read_bytes(), f"cp gridledger/field/{name} chaincode/relay/"


def test_nothing_in_the_contract_differs_from_peer_to_peer() -> None:
    assert check_package(RELAY) == []
