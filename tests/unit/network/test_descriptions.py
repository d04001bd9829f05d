"""The two descriptions in a network's folder: what it was made for, and the network as it now is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.cli import main
from gridledger.errors import SettingsError
from gridledger.network.bootstrap import prepare
from gridledger.network.descriptions import made_for, network_now, to_run, write_network
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def config() -> NetworkConfig:
    return load_network_config(PROJECT / "network-config" / "no-shard.yaml")


@pytest.fixture
def folder(tmp_path: Path, config: NetworkConfig) -> NetworkFolder:
    """The folder of a network that was made whole."""
    made = NetworkFolder(tmp_path)
    prepare(config, made)
    made.connection.write_text("{}")
    return made


def moved(config: NetworkConfig, port: int) -> NetworkConfig:
    """The network with its first peer on another port."""
    first = config.peers[0].model_copy(update={"port": port})
    return config.model_copy(update={"peers": (first, *config.peers[1:])})


def test_a_changed_network_is_run_as_it_now_is(folder: NetworkFolder, config: NetworkConfig) -> None:
    write_network(folder, moved(config, 9999))
    assert not prepare(config, folder)
    assert to_run(config, folder).peers[0].port == 9999
    assert made_for(folder) == config


def test_a_changed_network_is_compared_with_what_it_was_made_for(folder: NetworkFolder, config: NetworkConfig) -> None:
    changed = moved(config, 9999)
    write_network(folder, changed)
    with pytest.raises(SettingsError, match="of another description"):
        to_run(changed, folder)


def test_what_a_start_may_change_changes_in_both_descriptions(folder: NetworkFolder, config: NetworkConfig) -> None:
    write_network(folder, moved(config, 9999))
    asked = config.model_copy(update={"on_exit": "restart", "companions": ()})
    prepare(asked, folder)
    assert made_for(folder) == asked
    assert network_now(folder) == moved(asked, 9999)


def test_a_half_made_folder_is_begun_as_described(tmp_path: Path, config: NetworkConfig) -> None:
    folder = NetworkFolder(tmp_path)
    prepare(moved(config, 9999), folder)
    assert to_run(config, folder) == config
    prepare(config, folder)
    assert network_now(folder) == made_for(folder) == config


def test_up_without_a_description_needs_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--dir", str(tmp_path)]) == 1
    assert "holds no network: there is no description.json" in capsys.readouterr().err


def test_ports_move_with_a_description_alone(folder: NetworkFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--dir", str(folder.root), "--port-offset", "5"]) == 1
    assert "--port-offset goes with a description" in capsys.readouterr().err
