"""What a change of a network writes into its folder, and what it makes of a channel's configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.cli import main
from gridledger.client.profile import load_profile
from gridledger.errors import ConflictError, InputError, NotFoundError
from gridledger.network.bootstrap import prepare
from gridledger.network.changes import channels, orderers, organisations, peers
from gridledger.network.changes.changing_network import ChangingNetwork
from gridledger.network.changes.leftovers import set_aside
from gridledger.network.changes.packages import find_package
from gridledger.network.changes.roots import read_roots_file
from gridledger.network.descriptions import made_for, network_now, to_run
from gridledger.network.folder import NetworkFolder
from gridledger.network.lock import changing
from gridledger.network.schema import ChannelSpec, NetworkConfig, NodeSpec, OrganisationSpec, load_network_config
from gridledger.protocol.config import ChannelConfig, Forwarder, Organisation
from tests.support.paper import PaperNetwork, PaperOrganisation

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def config() -> NetworkConfig:
    return load_network_config(PROJECT / "network-config" / "no-shard.yaml")


@pytest.fixture
def network(tmp_path: Path, config: NetworkConfig) -> ChangingNetwork:
    """The folder of a network, with its organisations' roots."""
    folder = NetworkFolder(tmp_path)
    prepare(config, folder)
    folder.connection.write_text("{}")
    found = ChangingNetwork(folder, lambda _: None)
    for item in config.organisations:
        found.keep_root(item.name, PaperOrganisation(item.mspid).root)
    found.keep(config)
    return found


def test_a_change_is_in_the_description_the_cas_settings_and_the_profile(
    network: ChangingNetwork, config: NetworkConfig
) -> None:
    spec = OrganisationSpec(name="Org7", mspid="Org7MSP", kind="application")
    network.keep_root("Org7", root := PaperOrganisation("Org7MSP").root)
    network.keep(network.changed(organisations=(*config.organisations, spec)))
    network.keep(network.with_channel("grid", organisations=("Org7",)))
    assert network_now(network.folder).members_of("grid")[-1] == "Org7"
    assert made_for(network.folder) == config
    assert to_run(config, network.folder) == network.config
    hosted = jsontext.loads((network.folder.ca / "config.json").read_bytes())["organisations"]
    assert hosted[-1]["name"] == "Org7"
    profile = load_profile(network.folder.root)
    assert profile.ca.organisations[-1] == "Org7"
    assert profile.organisation_roots["Org7MSP"] == root
    assert root in profile.roots.read_text()


def test_an_organisation_whose_ca_is_elsewhere_is_not_hosted(network: ChangingNetwork, config: NetworkConfig) -> None:
    spec = OrganisationSpec(name="Abroad", mspid="AbroadMSP", elsewhere=True)
    network.keep_root("Abroad", PaperOrganisation("AbroadMSP").root)
    network.keep(network.changed(organisations=(*config.organisations, spec)))
    hosted = jsontext.loads((network.folder.ca / "config.json").read_bytes())["organisations"]
    assert "Abroad" not in [one["name"] for one in hosted]
    assert "Abroad" not in load_profile(network.folder.root).ca.organisations
    assert "AbroadMSP" in load_profile(network.folder.root).organisation_roots
    with pytest.raises(InputError, match="the CA of Abroad is elsewhere"):
        network.ca("Abroad")


def test_what_does_not_fit_is_refused_and_changes_nothing(network: ChangingNetwork, config: NetworkConfig) -> None:
    with pytest.raises(InputError, match="the network cannot be so: port 7151 comes twice"):
        network.changed(peers=(*config.peers, NodeSpec(name="peer7", organisation="Org1", port=7151)))
    with pytest.raises(NotFoundError, match="there is no peer 'peer9'; there are: peer1, peer2"):
        network.peer("peer9")
    with pytest.raises(NotFoundError, match="there is no channel 'shard9'; there are: grid"):
        network.check_channels(["grid", "shard9"])
    assert network_now(network.folder) == config


def test_a_moved_nodes_settings_keep_all_else(network: ChangingNetwork) -> None:
    home = network.folder.node("peer1")
    home.mkdir(parents=True)
    (home / "config.json").write_text('{"port": 1, "log_level": "debug"}')
    network.write_port("peer1", 7251)
    assert jsontext.loads((home / "config.json").read_bytes()) == {"port": 7251, "log_level": "debug"}


def test_a_removed_nodes_folder_is_kept_each_time(network: ChangingNetwork) -> None:
    for number in (1, 2):
        home = network.folder.node("peer7")
        home.mkdir(parents=True)
        (home / "key").write_text(str(number))
        set_aside(network, "peer7")
        assert not home.exists()
        assert (home.with_name(f"peer7.removed-{number}") / "key").read_text() == str(number)
    set_aside(network, "peer7")  # again, as by a change that is run twice


def test_a_package_is_found_where_a_peer_has_it(network: ChangingNetwork) -> None:
    with pytest.raises(NotFoundError, match=r"the package 0+ of a chaincode is nowhere"):
        find_package(network.folder, "0" * 64)
    place = network.folder.node("peer2") / "data" / "packages" / f"{'0' * 64}.tar.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    assert find_package(network.folder, "0" * 64) == place


def test_a_file_of_roots_may_hold_several_and_words_between(tmp_path: Path) -> None:
    first, second = (PaperOrganisation(mspid).root for mspid in ("A", "B"))
    file = tmp_path / "roots.pem"
    file.write_text(f"the old one\n{first}\nthe new one\n{second}")
    assert read_roots_file(file) == first + second
    file.write_text("nothing")
    with pytest.raises(InputError, match="holds no certificate"):
        read_roots_file(file)


def test_a_companion_has_the_network_as_it_now_is(network: ChangingNetwork, config: NetworkConfig) -> None:
    copy = network.folder.companion("rest") / "connection.json"
    copy.parent.mkdir(parents=True)
    copy.write_text("{}")
    network.keep(network.changed(peers=config.peers[:5], channels=without_peer6(config)))
    assert copy.read_bytes() == network.folder.connection.read_bytes()
    assert (copy.parent / "roots.pem").read_bytes() == network.folder.roots.read_bytes()


def without_peer6(config: NetworkConfig) -> dict[str, ChannelSpec]:
    return {
        name: spec.model_copy(update={"peers": tuple(peer for peer in spec.peers if peer != "peer6")})
        for name, spec in config.channels.items()
    }


def test_a_network_that_was_not_made_whole_is_not_changed(
    network: ChangingNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    network.folder.connection.unlink()
    assert main(["org", "remove", "Org1", "--dir", str(network.folder.root)]) == 1
    assert "was not made whole" in capsys.readouterr().err


def test_a_new_channel_is_described_to_an_application(network: ChangingNetwork) -> None:
    """Of its organisations those act that are on the main channel too."""
    spec = network.config.channels["grid"].model_copy(update={"peers": ("peer2", "peer1")})
    network.keep(network.changed(channels={**network.config.channels, "shard4": spec}))
    network.keep(network.with_channel("grid", peers=("peer1", "peer3")))
    channels.place_application(network, "dvs", "shard4", "grid")
    described = load_profile(network.folder.root).applications["dvs"]
    assert described["planners"]["shard4"] == "Org1MSP"
    assert described["aggregators"]["shard4"] == ["Org1MSP"]
    assert described["groups"] == ["grid"]
    network.keep(network.with_channel("grid", peers=("peer3",)))
    with pytest.raises(InputError, match="no organisation has a peer on shard4 and on the main channel of dvs"):
        channels.place_application(network, "dvs", "shard4", "grid")
    with pytest.raises(NotFoundError, match="there is no application 'chess': dvs"):
        channels.place_application(network, "chess", "shard4", "grid")


def test_an_update_for_others_to_sign_is_for_one_channel(
    network: ChangingNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (("update", "Org1", "--anchor", "peer1"), ("remove", "Org1"), ("add", "Org7")):
        assert main(["org", *command, "--output", "x", "--dir", str(network.folder.root)]) == 1
        assert "--output goes with one --channel" in capsys.readouterr().err


def test_an_organisation_changes_its_roots_and_its_anchors(channel: ChannelConfig) -> None:
    name, node = next(iter(channel.peers.items()))
    before = channel.organisations[node.mspid]
    root = PaperOrganisation(node.mspid).root
    changed = after(channel, partial(organisations.with_own_entry, node.mspid, "", [name]))
    assert changed.organisations[node.mspid] == replace(before, anchors=(name,))
    both = after(changed, partial(organisations.with_own_entry, node.mspid, before.roots[0] + root, None))
    assert both.organisations[node.mspid] == replace(before, anchors=(name,), roots=(before.roots[0], root))
    with pytest.raises(InputError, match="NobodyMSP is no member of"):
        organisations.with_own_entry("NobodyMSP", "", None, channel)


@pytest.fixture
def channel() -> ChannelConfig:
    return replace(PaperNetwork().config, chaincodes={})


def after(current: ChannelConfig, change: Callable[[ChannelConfig], ChannelConfig]) -> ChannelConfig:
    following = current.followed_by(change(current))
    following.check()
    return following


def test_an_organisation_that_goes_takes_its_peers_and_forwarders_along(channel: ChannelConfig) -> None:
    gone, kept, *_ = channel.peer_organisations
    current = replace(channel, forwarders=frozenset((Forwarder(gone, "bridge"), Forwarder(kept, "bridge"))))
    following = after(current, partial(organisations.without, gone))
    assert gone not in following.organisations
    assert gone in following.removed_organisations
    assert gone not in {node.mspid for node in following.peers.values()}
    assert following.forwarders == {Forwarder(kept, "bridge")}


def test_an_organisation_that_is_there_stays_as_it_is(channel: ChannelConfig) -> None:
    mspid = channel.peer_organisations[0]
    other = Organisation(mspid, (PaperOrganisation(mspid).root,))
    assert organisations.with_entry(other, channel) is channel
    with pytest.raises(ConflictError, match="of the kind 'application'"):
        organisations.with_entry(replace(other, kind="observer"), channel)


def test_a_peer_that_goes_is_no_anchor_any_more(channel: ChannelConfig) -> None:
    name, node = next(iter(channel.peers.items()))
    entry = replace(channel.organisations[node.mspid], anchors=(name,))
    current = replace(channel, organisations={**channel.organisations, node.mspid: entry})
    following = after(current, partial(peers._without_peer, name))
    assert name not in following.peers
    assert following.organisations[node.mspid].anchors == ()


def test_one_update_takes_one_orderer_for_another(channel: ChannelConfig) -> None:
    name, node = next(iter(channel.orderers.items()))
    new = replace(node, name="orderer9", url="https://127.0.0.1:9")
    changed = orderers._with(new, name, channel)
    assert changed.orderers.keys() == (channel.orderers.keys() - {name}) | {"orderer9"}
    assert orderers._with(new, name, changed) == changed  # again, as by a change that is run twice
    moved = orderers._with_address(name, "https://127.0.0.1:10", channel)
    assert moved.orderers[name] == replace(node, url="https://127.0.0.1:10")


def test_two_commands_do_not_change_a_network_at_once(
    network: ChangingNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--dir", str(network.folder.root))
    with changing(network.folder):
        for command in (("org", "add", "Org7", "--channel", "grid"), ("dvs", "move-group", "1", "grid")):
            assert main([*command, *place]) == 1
            assert "another command changes the network" in capsys.readouterr().err
    with changing(network.folder):
        pass
