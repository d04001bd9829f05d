"""A peer that cannot start says why in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gridledger import jsontext
from tests.support.local_network import LocalNetwork
from tests.support.processes import ServiceProcess, free_ports

pytestmark = pytest.mark.integration


@pytest.fixture
def home(network: LocalNetwork, tmp_path: Path) -> Path:
    """The folder of a peer1 that has not started yet, on a port of its own."""
    home = tmp_path / "peer1"
    shutil.copytree(network.folder.node("peer1"), home, ignore=shutil.ignore_patterns("data"))
    _set(home, port=free_ports(1)[0])
    return home


def _set(home: Path, **settings: object) -> None:
    config = home / "config.json"
    config.write_bytes(jsontext.dumps({**jsontext.loads(config.read_bytes()), **settings}))


def _no_genesis(home: Path) -> None:
    (home / "channels" / "shard1.genesis").unlink()


def _torn_genesis(home: Path) -> None:
    path = home / "channels" / "shard1.genesis"
    path.write_bytes(path.read_bytes()[:-5])


def _wrong_organisation(home: Path) -> None:
    (home / "msp" / "mspid").write_text("Org2MSP\n")


def _no_roots(home: Path) -> None:
    (home / "roots.pem").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_genesis, "neither a ledger nor a genesis block"),
        (_torn_genesis, "is no genesis block"),
        (_wrong_organisation, "is of Org2MSP, not of Org1MSP"),
        (_no_roots, "cannot read the TLS roots"),
    ],
)
def test_fault_is_told_in_one_line(home: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(home)
    peer = ServiceProcess("services.peer", home / "config.json")
    peer.start()
    assert peer.ended() == 1
    (line,) = peer.output().splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_taken_port_is_told(network: LocalNetwork, home: Path) -> None:
    port = network.config.peer("peer2").port
    _set(home, port=port)
    peer = ServiceProcess("services.peer", home / "config.json")
    peer.start()
    assert peer.ended() == 98
    assert peer.output().startswith(f"error: port {port}")
