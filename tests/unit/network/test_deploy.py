"""What is refused before anything is asked of the peers on which a chaincode is to be deployed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.contract.packaging import PackageError
from gridledger.errors import InputError
from gridledger.network.bootstrap import connection_profile
from gridledger.network.deploy import deploy_chaincode
from gridledger.network.schema import load_network_config
from tests.support.processes import REPOSITORY


@pytest.fixture
def profile(tmp_path: Path) -> ConnectionProfile:
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml")
    (tmp_path / "connection.json").write_bytes(jsontext.dumps(connection_profile(config, {})))
    return load_profile(tmp_path)


@pytest.mark.parametrize("name", ["k v", "", " ", "-k", "1k", "k/v", "k\n", "ä", "k" * 65, "../k"])
async def test_a_name_that_no_command_can_take_is_refused(profile: ConnectionProfile, name: str) -> None:
    with pytest.raises(InputError, match="give one with --name"):
        await deploy_chaincode(profile, Path("k v"), "shard1", name=name)


async def test_a_folders_name_must_be_one_too(profile: ConnectionProfile, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'k v' is no name for a chaincode"):
        await deploy_chaincode(profile, tmp_path / "k v", "shard1")
    with pytest.raises(PackageError):
        await deploy_chaincode(profile, tmp_path / "asset_transfer-1.0", "shard1")
