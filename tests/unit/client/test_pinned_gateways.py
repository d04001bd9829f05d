"""The SDK against real TLS servers: nobody stands in for a peer of the connection profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger import client, jsontext
from gridledger.client.profile import ConnectionProfile
from gridledger.identity.signer import SigningIdentity
from gridledger.network.bootstrap import connection_profile
from gridledger.network.schema import load_network_config
from gridledger.transport.node_client import ConnectionFailed
from gridledger.web import ServerSettings, TLSFiles, WebServer, by_certificate, create_app
from tests.support.paper import NOW_US, PaperNetwork
from tests.support.processes import REPOSITORY, free_ports

PAPER = PaperNetwork()
ORGANISATIONS = PAPER.organisations
PEER1 = PAPER.peers["peer1"]


def profile_with(folder: Path, port: int, **peer: object) -> ConnectionProfile:
    """A profile of one peer, peer1 of Org1, whose bundle of roots has those of all organisations."""
    config = load_network_config(REPOSITORY / "network-config" / "no-shard.yaml")
    roots = {mspid.removesuffix("MSP"): organisation.root for mspid, organisation in ORGANISATIONS.items()}
    described = connection_profile(config, roots)
    described["peers"] = {"peer1": {**described["peers"]["peer1"], "url": f"https://localhost:{port}", **peer}}
    (folder / "roots.pem").write_text("".join(roots.values()))
    (folder / "connection.json").write_bytes(jsontext.dumps(described))
    return client.load_profile(folder)


async def channels_of(folder: Path, who: SigningIdentity, **peer: object) -> list[str]:
    """What a client hears from whoever listens where the profile has peer1."""
    home, port = folder / "msp", free_ports(1)[0]
    who.save(home)
    profile = profile_with(folder, port, **peer)
    app = create_app("peer", by_certificate(lambda certificate: PAPER.config.msps.identify(certificate, NOW_US)))

    @app.get("/channels")
    async def channels() -> dict[str, list[str]]:
        return {"channels": ["shard1"]}

    tls = TLSFiles(home / "cert.pem", home / "key.pem", [profile.roots])
    serving = WebServer(app, ServerSettings("127.0.0.1", port, tls, graceful_stop_s=1))
    async with serving, await client.connect(profile, identity=PAPER.client) as gateway:
        return await gateway.channels()


async def test_the_sdk_talks_to_the_profiles_peer(tmp_path: Path) -> None:
    assert await channels_of(tmp_path, PEER1) == ["shard1"]
    assert await channels_of(tmp_path, PEER1, certificates=["ab" * 32, PEER1.fingerprint]) == ["shard1"]
    assert await channels_of(tmp_path, ORGANISATIONS["Org1MSP"].issue("peer1", "peer")) == ["shard1"]  # a renewed one


IMPOSTORS = [
    ("another organisation's peer", ORGANISATIONS["Org2MSP"].issue("peer1", "peer"), "CERTIFICATE_VERIFY_FAILED"),
    ("an orderer", PAPER.orderers["orderer1"], "CERTIFICATE_VERIFY_FAILED"),
    ("a client of another organisation", PAPER.clients["Org2MSP"], "CERTIFICATE_VERIFY_FAILED"),
    ("a client of its organisation", ORGANISATIONS["Org1MSP"].issue("peer1", "client"), "this is not peer1"),
    ("an admin of its organisation", PAPER.admins["Org1MSP"], "this is not peer1"),
]


@pytest.mark.parametrize(("who", "why"), [item[1:] for item in IMPOSTORS], ids=[item[0] for item in IMPOSTORS])
async def test_the_sdk_takes_nobody_else_for_a_peer(tmp_path: Path, who: SigningIdentity, why: str) -> None:
    with pytest.raises(ConnectionFailed, match=why):
        await channels_of(tmp_path, who)


async def test_a_certificate_in_the_profile_is_the_only_one(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="this is not peer1"):
        await channels_of(tmp_path, ORGANISATIONS["Org1MSP"].issue("peer1", "peer"), certificates=[PEER1.fingerprint])
