"""Making a network's folder: begun anew, kept, or refused where a part of it is gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.cli import main
from gridledger.errors import OtherFormat, SettingsError
from gridledger.formats import NETWORK_FOLDER
from gridledger.network.bootstrap import channel_config, prepare
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.protocol.config import ChannelConfig
from gridledger.sealed import seal
from gridledger.settings import load_settings
from services.ca.settings import CASettings
from tests.support.paper import PaperOrganisation

PROJECT = Path(__file__).resolve().parents[3]
BASE = Path("network-config/three-shards.yaml")


@pytest.fixture
def config() -> NetworkConfig:
    return load_network_config(PROJECT / BASE)


def test_preparing_again_keeps_what_a_ca_may_be_running_on(tmp_path: Path, config: NetworkConfig) -> None:
    folder = NetworkFolder(tmp_path)
    assert prepare(config, folder, anew=False)
    secret = folder.registrar_secret("Org1").read_bytes()
    assert prepare(config, folder, anew=False)
    assert folder.registrar_secret("Org1").read_bytes() == secret
    assert prepare(config, folder)
    assert folder.registrar_secret("Org1").read_bytes() != secret


def test_the_command_prepares_a_ca(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bootstrap", str(PROJECT / BASE), "--dir", str(tmp_path), "--prepare", "--names-as-hosts"]) == 0
    assert f"--config {tmp_path}/ca/config.json" in capsys.readouterr().out


def test_the_command_says_that_no_ca_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bootstrap", str(PROJECT / BASE), "--dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: there is no TLS root of the CA service at ")
    assert "so start that first" in error


@pytest.mark.parametrize(("arguments", "lost"), [(["--prepare"], "ca"), ([], "orderer1, orderer2, orderer3, peer1")])
def test_the_command_says_what_is_lost_of_a_network(
    tmp_path: Path, config: NetworkConfig, capsys: pytest.CaptureFixture[str], arguments: list[str], lost: str
) -> None:
    prepare(config, NetworkFolder(tmp_path))
    (tmp_path / "connection.json").write_text("{}")
    (tmp_path / "ca" / "config.json").unlink()
    assert main(["bootstrap", str(PROJECT / BASE), "--dir", str(tmp_path), *arguments]) == 1
    assert f"what belongs to {lost}" in capsys.readouterr().err


def test_the_command_leaves_a_complete_network_alone(
    tmp_path: Path, config: NetworkConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(config, NetworkFolder(tmp_path))
    (tmp_path / "connection.json").write_text("{}")
    assert main(["bootstrap", str(PROJECT / BASE), "--dir", str(tmp_path), "--prepare"]) == 0
    assert "is complete" in capsys.readouterr().out


def test_a_folder_of_another_network_is_refused(tmp_path: Path, config: NetworkConfig) -> None:
    folder = NetworkFolder(tmp_path)
    prepare(config, folder)
    folder.connection.write_text("{}")
    assert not prepare(config, folder)
    with pytest.raises(SettingsError, match="of another description"):
        prepare(config.with_port_offset(1), folder)


def test_the_cas_settings_name_no_absolute_path(tmp_path: Path, config: NetworkConfig) -> None:
    folder = NetworkFolder(tmp_path)
    prepare(config, folder)
    assert str(tmp_path) not in (folder.ca / "config.json").read_text()
    settings = load_settings(CASettings, folder.ca / "config.json")
    assert settings.tls_root is not None
    assert settings.tls_root.resolve() == folder.ca_tls_root
    files = [one.registrar_secret_file.resolve() for one in settings.organisations]
    assert files == [folder.registrar_secret(one.name) for one in config.organisations]


def test_absolute_paths_of_an_older_folder_are_made_relative(tmp_path: Path, config: NetworkConfig) -> None:
    folder = NetworkFolder(tmp_path)
    prepare(config, folder)
    path = folder.ca / "config.json"
    new = path.read_bytes()
    old = jsontext.loads(new)
    old["tls_root"] = "/another/machine/out/network/enrolment/tls-root.pem"
    for one in old["organisations"]:
        one["registrar_secret_file"] = f"/another/machine/out/network/enrolment/{one['name']}.secret"
    path.write_bytes(jsontext.dumps(old))
    folder.connection.write_text("{}")
    assert not prepare(config, folder)
    assert path.read_bytes() == new


def test_a_description_that_cannot_be_read_is_another_one(tmp_path: Path, config: NetworkConfig) -> None:
    folder = NetworkFolder(tmp_path)
    prepare(config, folder)
    folder.connection.write_text("{}")
    folder.description.write_text("{")
    with pytest.raises(SettingsError, match="of another description"):
        prepare(config, folder)
    folder.description.write_bytes(folder.config.read_bytes())
    folder.config.write_text("{")
    with pytest.raises(SettingsError, match=r"the description .*network\.json cannot be used"):
        prepare(config, folder)


def test_the_registrars_secrets_are_for_their_owner_only(tmp_path: Path, config: NetworkConfig) -> None:
    folder = NetworkFolder(tmp_path)
    prepare(config, folder)
    for organisation in config.organisations:
        secret = folder.registrar_secret(organisation.name)
        assert secret.stat().st_mode & 0o777 == 0o600
        assert len(secret.read_text().strip()) >= 32


def test_a_folder_of_an_older_version_is_refused_in_one_line(tmp_path: Path, config: NetworkConfig) -> None:
    """As commit 8b6a057 made it, without a number. Its nodes would each say so of their own."""
    folder = NetworkFolder(tmp_path)
    prepare(config, folder)
    folder.connection.write_text("{}")
    assert not prepare(config, folder)
    folder.format.unlink()
    with pytest.raises(OtherFormat, match=r"format 1, which GridLedger 0\.1\.0 up to commit 8b6a057 reads") as caught:
        prepare(config, folder)
    assert "\n" not in caught.value.message


def test_a_folder_whose_channels_have_the_earlier_policies_is_refused(tmp_path: Path, config: NetworkConfig) -> None:
    folder = NetworkFolder(tmp_path)
    prepare(config, folder)
    folder.connection.write_text("{}")
    folder.format.write_bytes(seal(replace(NETWORK_FOLDER, number=2), {}))
    with pytest.raises(OtherFormat, match=r"format 2, which GridLedger 0\.1\.0 up to commit 135166e reads"):
        prepare(config, folder)


def test_a_folder_of_a_newer_version_is_refused(tmp_path: Path, config: NetworkConfig) -> None:
    folder = NetworkFolder(tmp_path)
    prepare(config, folder)
    folder.connection.write_text("{}")
    folder.format.write_bytes(seal(replace(NETWORK_FOLDER, number=9), {}))
    with pytest.raises(OtherFormat, match="format 9, which another version of GridLedger reads"):
        prepare(config, folder)


def test_a_channel_begins_with_the_kinds_and_policies_of_its_description(tmp_path: Path, config: NetworkConfig) -> None:
    changed = config.model_dump(mode="json")
    channel = next(iter(changed["channels"]))
    changed["channels"] = {channel: changed["channels"][channel]}
    changed["channels"][channel]["policies"] = {"Application": {"Admins": "ANY Admins"}}
    changed["channels"][channel]["acls"] = {"gateway/Evaluate": "/Channel/Application/Writers"}
    config, folder = NetworkConfig.model_validate(changed), NetworkFolder(tmp_path)
    owners = {item.name: PaperOrganisation(item.mspid) for item in config.organisations}
    for role, nodes in (("orderer", config.orderers), ("peer", config.peers)):
        for node in nodes:
            owners[node.organisation].issue(node.name, role).save(folder.node(node.name) / "msp")
    packages = {spec.path: "0" * 64 for spec in config.channels[channel].chaincodes.values()}
    roots = {name: owner.root for name, owner in owners.items()}
    first = channel_config(config, folder, channel, roots=roots, packages=packages)
    assert {mspid: item.kind for mspid, item in first.organisations.items()} == {
        "OrdererMSP": "orderer",
        **{f"Org{number}MSP": "application" for number in range(1, 7)},
        "ControlRoomMSP": "observer",
    }
    # An observer reads, and counts among nobody.
    assert first.application_organisations == tuple(f"Org{number}MSP" for number in range(1, 7))
    assert first.policy("/Channel/Readers").satisfied_by([("ControlRoomMSP", "client")])
    assert not first.policy("/Channel/Writers").satisfied_by([("ControlRoomMSP", "client")])
    assert first.policies["Application"]["Admins"] == "ANY Admins"
    assert first.policy_of("gateway/Evaluate") == "/Channel/Application/Writers"
    assert ChannelConfig.parse(first.text) == first
