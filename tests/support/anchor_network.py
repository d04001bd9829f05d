"""A part of the network of network-config/three-shards.yaml on free ports: one shard of two organisations, a third one
that keeps its anchors with them, and a control room that reads. On the shard runs ``kv``."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.protocol.block import Block, HeaderSignature, SignedBlock
from gridledger.transport.node_client import NodeClient
from services.orderer.block_store import BlockStore
from tests.support.local_network import LocalNetwork
from tests.support.processes import REPOSITORY, hold_ports

SHARD, MAINCHAIN = "shard1", "mainchain"
AGENTS = ("anchor-org1", "anchor-org2")
INTERVAL_S = 1.0


def anchor_description(interval_s: float = INTERVAL_S) -> NetworkConfig:
    """Peers 1 to 3 and one orderer; shard1 with its two peers; anchors on mainchain by two of three."""
    described = load_network_config(REPOSITORY / "network-config/three-shards.yaml").model_dump(mode="json")
    kept = {"Orderer", "Org1", "Org2", "Org3", "ControlRoom"}
    described["organisations"] = [one for one in described["organisations"] if one["name"] in kept]
    described["orderers"] = described["orderers"][:1]
    described["peers"] = described["peers"][:3]
    channels = {name: described["channels"][name] for name in (MAINCHAIN, SHARD)}
    channels[MAINCHAIN]["peers"] = ["peer1", "peer2", "peer3"]
    channels[MAINCHAIN]["chaincodes"] = {"anchors": {"path": "chaincode/anchors", "policy": "OutOf(2, all)"}}
    channels[SHARD]["chaincodes"] = {"kv": {"path": "chaincode/kv", "policy": "OutOf(2, all)"}}
    described["channels"] = channels
    described["companions"] = [one for one in described["companions"] if one["name"] in AGENTS]
    for one in described["companions"]:
        one["settings"] = {"interval_s": interval_s}
    described["applications"] = {"anchors": described["applications"]["anchors"]}
    config = NetworkConfig.model_validate(described)
    for offset in random.sample(range(2000, 25_000, 13), 100):
        moved = config.with_port_offset(offset)
        with suppress(OSError):
            companions = [one.port for one in moved.companions if one.port]
            hold_ports([moved.ca.port, *(node.port for node in (*moved.orderers, *moved.peers)), *companions])
            return moved
    raise AssertionError("no free ports")


async def page(network: LocalNetwork, agent: str, path: str = "/", **params: str) -> Any:
    """What an agent's page tells."""
    settings = jsontext.loads((network.folder.companion(agent) / "config.json").read_bytes())
    url = f"https://127.0.0.1:{settings['port']}"
    async with NodeClient(url, network.admin("Org1"), network.roots) as node:
        return await node.get_json(path, params=params or None)


async def shard_state(network: LocalNetwork, agent: str) -> dict[str, Any]:
    """What an agent tells of the shard; {} while it does not answer."""
    try:
        channels = (await page(network, agent))["channels"]
    except GridLedgerError:
        return {}
    return dict(next((one for one in channels if one["channel"] == SHARD), {}))


def agent_identity(network: LocalNetwork, agent: str) -> SigningIdentity:
    """An agent's own key: what its organisation has."""
    (home,) = (network.folder.companion(agent) / "identities").iterdir()
    return SigningIdentity.load(home)


def ledger_folder(network: LocalNetwork, peer: str, channel: str) -> Path:
    return network.folder.node(peer) / "data" / "ledger" / channel


def rewritten(
    source: Path, target: Path, orderer: SigningIdentity, change: Callable[[Block], Sequence[bytes]]
) -> list[tuple[str, str]]:
    """Another history of a ledger, in ``target``: every block has the envelopes that ``change`` gives, is signed by the
    orderer's own key, and judged as a peer does. The texts of its headers, and the commit hashes after them."""
    channel = source.name
    with Ledger.open(source.parent, channel, readonly=True) as true:
        blocks = [true.block(number) for number in range(true.height)]
    with Ledger.create(target.parent, blocks[0]) as forged:
        committer = BlockCommitter(forged)
        last = blocks[0].header
        for block in blocks[1:]:
            made = Block.build(
                channel=channel,
                number=block.header.number,
                previous_hash=last.hash,
                timestamp_us=block.header.timestamp_us,
                envelopes=change(block),
            )
            signature = HeaderSignature(orderer.fingerprint, orderer.sign(made.header.text.encode()))
            committer.process([SignedBlock(made, signature)])
            last = made.header
        with forged.snapshot() as snapshot:
            items = [snapshot.header(number) for number in range(forged.height)]
    return [(item.header.text, item.commit_hash) for item in items]


def put_in_place(forged: Path, ledger: Path) -> None:
    """A ledger in place of another."""
    shutil.rmtree(ledger)
    shutil.copytree(forged, ledger)


def ordered_anew(network: LocalNetwork, forged: Path, orderer: SigningIdentity) -> None:
    """Another history in place of what a stopped orderer has of a channel, each block under the orderer's own key."""
    place = network.folder.node("orderer1") / "data" / "blocks" / forged.name
    made = place.with_name(f"{forged.name}.forged")
    true, store = BlockStore.open(place), BlockStore.open(made)
    with Ledger.open(forged.parent, forged.name, readonly=True) as ledger:
        for number in range(true.height):
            record, block = true.record(number), ledger.block(number)
            signature = HeaderSignature(orderer.fingerprint, orderer.sign(block.header.text.encode())).to_bytes()
            told = {"raft_index": record.raft_index, "config_block": record.config_block}
            store.append(block.header, block.to_bytes(), signature, **told)
    store.sync()
    true.close()
    store.close()
    shutil.rmtree(place)
    made.rename(place)
