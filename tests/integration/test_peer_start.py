"""A peer that cannot start says why in one line."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.small_network import CHANNEL, SmallNetwork

pytestmark = pytest.mark.integration
END_WITHIN_S = 60.0
"""A bound for a process that hangs. Python and the libraries need 2 s of one core, beside other work ten times that."""


def _no_genesis(network: SmallNetwork) -> None:
    (network.folder / f"{CHANNEL}.genesis").unlink()


def _torn_genesis(network: SmallNetwork) -> None:
    path = network.folder / f"{CHANNEL}.genesis"
    path.write_bytes(path.read_bytes()[:-5])


def _wrong_organisation(network: SmallNetwork) -> None:
    (network.folder / "peer1" / "msp" / "mspid").write_text("Org2MSP\n")


def _no_roots(network: SmallNetwork) -> None:
    (network.folder / "roots.pem").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_genesis, "neither a ledger nor a genesis block"),
        (_torn_genesis, "is no genesis block"),
        (_wrong_organisation, "is of Org2MSP, not of Org1MSP"),
        (_no_roots, "cannot read the TLS roots"),
    ],
)
def test_fault_is_told_in_one_line(tmp_path: Path, damage: Callable[[SmallNetwork], None], message: str) -> None:
    network = SmallNetwork(tmp_path)
    damage(network)
    process = network.processes["peer1"]
    process.start()
    assert process.wait(END_WITHIN_S) == 1
    lines = process.output().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]


def test_taken_port_is_told(tmp_path: Path) -> None:
    network = SmallNetwork(tmp_path)
    process = network.processes["peer1"]
    with socket.create_server(("127.0.0.1", network.ports["peer1"])):
        process.start()
        assert process.wait(END_WITHIN_S) == 98
    assert process.output().startswith(f"error: port {network.ports['peer1']}")
