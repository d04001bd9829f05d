"""Removing what a network has made."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.errors import ConflictError, NotFoundError
from gridledger.network.bootstrap import prepare
from gridledger.network.folder import NetworkFolder
from gridledger.network.lock import locked
from gridledger.network.reset import reset
from gridledger.network.schema import load_network_config
from tests.support.processes import REPOSITORY


@pytest.fixture
def folder(tmp_path: Path) -> NetworkFolder:
    folder = NetworkFolder(tmp_path / "network")
    prepare(load_network_config(REPOSITORY / "network-config" / "no-shard.yaml"), folder)
    folder.node("peer1").mkdir(parents=True)
    folder.user("Org1", "admin").mkdir(parents=True)
    folder.connection.write_text("{}")
    return folder


def test_all_that_the_network_made_is_gone(folder: NetworkFolder) -> None:
    assert reset(folder) == []
    assert not folder.root.exists()


def test_what_others_have_put_there_stays(folder: NetworkFolder) -> None:
    mine = folder.root / "notes.txt"
    mine.write_text("mine")
    assert reset(folder) == [mine]
    assert mine.read_text() == "mine"


def test_a_link_is_removed_and_not_what_it_leads_to(folder: NetworkFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "large-disk"
    folder.node("peer1").rename(elsewhere)
    folder.node("peer1").parent.rmdir()
    folder.node("peer1").parent.symlink_to(elsewhere)
    reset(folder)
    assert elsewhere.is_dir()


def test_a_running_network_is_left_alone(folder: NetworkFolder) -> None:
    with locked(folder), pytest.raises(ConflictError, match="is running; stop it first"):
        reset(folder)
    assert folder.connection.exists()


def test_a_folder_of_no_network_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    with pytest.raises(NotFoundError, match="is not the folder of a network"):
        reset(NetworkFolder(tmp_path))
    assert (tmp_path / "nodes").is_dir()
