"""Proofs of transactions against real TLS servers, some of which lie: each forged part is refused, its forger named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.client.proofs import ChannelTrust, NotProved, TransactionProof, prove_transaction
from gridledger.errors import NotFoundError, SettingsError
from gridledger.ledger import TransactionMissing
from gridledger.protocol.block import BlockHeader, HeaderSignature
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.proof import ProvedTransaction
from gridledger.transport.pins import Pin
from gridledger.web import ServerSettings, TLSFiles, WebServer, by_certificate, create_app
from tests.support.paper import NOW_US, PaperNetwork, PaperPeer
from tests.support.processes import free_ports

Answer = Callable[[ProvedTransaction], Any]


@dataclass
class Channel:
    """Three peers of three organisations, each a server; by name what one says of transaction and config."""

    paper: PaperNetwork
    folder: Path
    honest: ProvedTransaction
    other: ProvedTransaction
    answers: dict[str, Answer] = field(default_factory=dict)
    configs: dict[str, ChannelConfig] = field(default_factory=dict)

    async def prove(self, trust: ChannelTrust | None = None, tx_id: str | None = None) -> TransactionProof:
        trust = trust or ChannelTrust.by_config(self.paper.config)
        return await prove_transaction(trust, self.paper.client, tx_id or self.honest.tx_id, timeout_s=20.0)

    @asynccontextmanager
    async def serving(self, name: str) -> AsyncIterator[None]:
        home, node = self.folder / name, self.paper.config.peers[name]
        self.paper.peers[name].save(home)
        app = create_app("peer", by_certificate(lambda found: self.paper.config.msps.identify(found, NOW_US)))

        @app.get("/channels/{channel}/config")
        async def config(channel: str) -> Any:
            return jsontext.loads(self.configs.get(name, self.paper.config).text)

        @app.get("/channels/{channel}/transactions/{tx_id}")
        async def transaction(channel: str, tx_id: str) -> Any:
            answer = self.answers.get(name, ProvedTransaction.to_dict)(self.honest)
            return answer.to_dict() if isinstance(answer, ProvedTransaction) else answer

        tls = TLSFiles(home / "cert.pem", home / "key.pem", [self.paper.config.msps.roots_pem()])
        port = int(node.url.rpartition(":")[2])
        async with WebServer(app, ServerSettings("127.0.0.1", port, tls, graceful_stop_s=1)):
            yield


@pytest.fixture
async def channel(tmp_path: Path) -> AsyncIterator[Channel]:
    ports = free_ports(3)
    urls = {f"peer{number}": f"https://localhost:{port}" for number, port in enumerate(ports, 1)}
    paper = PaperNetwork(organisations=3, urls=urls)
    peer = PaperPeer(tmp_path / "ledger", paper)
    made = [paper.transaction({"k": number}) for number in range(3)]
    peer.commit(*made)
    proved = [peer.ledger.transaction(item.tx_id) for item in made]
    running = Channel(paper, tmp_path, proved[0], proved[1])
    async with AsyncExitStack() as stack:
        for name in urls:
            await stack.enter_async_context(running.serving(name))
        yield running
    peer.ledger.close()


def with_header(found: ProvedTransaction, made: Channel, *, of: str = "shard1", **parts: Any) -> ProvedTransaction:
    """The transaction under another header, signed by a peer who has no orderer's key."""
    known = found.header
    members = {
        name: getattr(known, name) for name in ("channel", "number", "previous_hash", "data_hash", "timestamp_us")
    }
    header = BlockHeader.build(**{**members, "channel": of, **parts})
    key = made.paper.peers["peer1"]
    signature = HeaderSignature(made.paper.orderers["orderer1"].fingerprint, key.sign(header.text.encode()))
    return replace(found, header=header, block=header.number, signature=signature)


FORGERIES: dict[str, tuple[Callable[[Channel], Answer], str]] = {
    "another code": (
        lambda _: lambda found: replace(found, code=Code.MVCC_READ_CONFLICT),
        "MVCC_READ_CONFLICT at",
    ),
    "another transaction": (lambda made: lambda found: replace(made.other, tx_id=found.tx_id), "shows transaction"),
    "another envelope": (lambda made: lambda found: replace(found, envelope=made.other.envelope), "does not lead"),
    "another path": (lambda _: lambda found: replace(found, siblings=found.siblings[::-1]), "does not lead"),
    "another position": (lambda _: lambda found: replace(found, index=found.index + 1), "does not lead"),
    "another count": (lambda _: lambda found: replace(found, count=found.count + 1), "VALID at position 0 of 4"),
    "a header of its own": (
        lambda made: lambda found: with_header(found, made, timestamp_us=NOW_US + 9),
        "not genuine",
    ),
    "another block": (lambda made: lambda found: with_header(found, made, number=7), "not genuine"),
    "another channel's header": (lambda made: lambda found: with_header(found, made, of="other"), "does not lead"),
    "no signature": (lambda _: lambda found: replace(found, signature=None), "signed by nobody"),
    "block 0": (
        lambda made: lambda found: replace(with_header(found, made, number=0), signature=None),
        "block 0 holds",
    ),
    "a peer's signature": (
        lambda made: (
            lambda found: replace(
                found,
                signature=HeaderSignature(
                    made.paper.peers["peer1"].fingerprint, made.paper.peers["peer1"].sign(found.header.text.encode())
                ),
            )
        ),
        "no orderer of shard1",
    ),
    "no JSON object": (lambda _: lambda found: [1, 2], "JSON object"),
    "no members": (lambda _: lambda found: {"proof": {}}, "signature"),
    "a path of numbers": (
        lambda _: lambda found: {**found.to_dict(), "proof": {**found.to_dict()["proof"], "path": [7, None]}},
        "hashes in hexadecimal",
    ),
    "an unknown code": (lambda _: lambda found: {**found.to_dict(), "code": 77}, "no validation code"),
}


async def test_what_all_peers_say_is_proved(channel: Channel) -> None:
    proof = await channel.prove()
    assert proof.transaction == channel.honest
    assert proof.orderer is not None
    assert proof.orderer.name == "orderer1"
    assert (proof.organisations, proof.needed, proof.others) == (("Org1MSP", "Org2MSP", "Org3MSP"), 2, {})


@pytest.mark.parametrize("forged", FORGERIES)
async def test_one_forger_of_three_proves_nothing_and_is_named(channel: Channel, forged: str) -> None:
    make, told = FORGERIES[forged]
    channel.answers["peer1"] = make(channel)
    proof = await channel.prove()
    assert proof.transaction == channel.honest
    assert proof.organisations == ("Org2MSP", "Org3MSP")
    assert list(proof.others) == ["peer1"]
    assert told in proof.others["peer1"]


@pytest.mark.parametrize("forged", FORGERIES)
async def test_a_forger_who_is_asked_alone_is_refused(channel: Channel, forged: str) -> None:
    make, _ = FORGERIES[forged]
    channel.answers["peer1"] = make(channel)
    alone = {"peer1": ChannelTrust.by_config(channel.paper.config).peers["peer1"]}
    with pytest.raises(NotProved, match="peer1: ") as caught:
        await channel.prove(ChannelTrust("shard1", alone, (channel.paper.config,)))
    assert list(caught.value.details["peers"]) == ["peer1"]


async def test_a_majority_of_organisations_must_say_the_code(channel: Channel) -> None:
    channel.answers["peer1"] = lambda found: replace(found, code=Code.MVCC_READ_CONFLICT)
    channel.answers["peer3"] = lambda _: []
    with pytest.raises(NotProved, match=r"peer1: MVCC_READ_CONFLICT at .*; peer2: VALID at .*; peer3: "):
        await channel.prove()


async def test_two_peers_of_one_organisation_count_once(channel: Channel) -> None:
    peers = dict(ChannelTrust.by_config(channel.paper.config).peers)
    peers["peer2"] = peers["peer2"]._replace(mspid="Org1MSP")  # as if it were Org1's second
    trust = ChannelTrust("shard1", peers, (channel.paper.config,))
    assert (await channel.prove(trust)).organisations == ("Org1MSP", "Org3MSP")
    channel.answers["peer1"] = channel.answers["peer2"] = lambda found: replace(found, code=Code.MVCC_READ_CONFLICT)
    with pytest.raises(NotProved):
        await channel.prove(trust)
    channel.answers["peer2"] = ProvedTransaction.to_dict  # at odds with its organisation's other peer: no say
    with pytest.raises(NotProved):
        await channel.prove(trust)


async def test_a_config_of_one_peer_is_not_trusted(channel: Channel) -> None:
    """Peer1 makes up orderers, and signs a header with the key of one of them."""
    forger = channel.paper.organisations["Org1MSP"].issue("orderer1", "orderer")
    node = replace(channel.paper.config.orderers["orderer1"], mspid="Org1MSP", certificate=forger.certificate)
    made_up = replace(channel.paper.config, orderers={"orderer1": node})
    channel.configs["peer1"] = made_up

    def forge(found: ProvedTransaction) -> ProvedTransaction:
        own = with_header(found, channel, timestamp_us=NOW_US + 9)
        signature = HeaderSignature(forger.fingerprint, forger.sign(own.header.text.encode()))
        return replace(own, signature=signature)

    channel.answers["peer1"] = forge
    by_profile = ChannelTrust("shard1", ChannelTrust.by_config(channel.paper.config).peers)
    proof = await channel.prove(by_profile)
    assert (proof.transaction, list(proof.others)) == (channel.honest, ["peer1"])
    channel.configs["peer2"] = made_up
    channel.configs["peer3"] = replace(made_up, sequence=9)
    with pytest.raises(NotProved):
        await channel.prove(ChannelTrust("shard1", by_profile.peers, (made_up,))._replace(configs=()))


async def test_an_orderer_that_renewed_is_known_by_an_earlier_config(channel: Channel) -> None:
    before, orderers = channel.paper.config, channel.paper.config.orderers
    renewed = channel.paper.organisations["OrdererMSP"].issue("orderer1", "orderer")
    after = replace(
        before, orderers={**orderers, "orderer1": replace(orderers["orderer1"], certificate=renewed.certificate)}
    )
    channel.configs = dict.fromkeys(("peer1", "peer2", "peer3"), after)
    with pytest.raises(NotProved, match="give the one of that time"):
        await channel.prove(ChannelTrust.by_config(after))
    assert (await channel.prove(ChannelTrust.by_config(after, [before]))).transaction == channel.honest


async def test_what_a_majority_does_not_have_is_not_found(channel: Channel) -> None:
    def missing(_: ProvedTransaction) -> None:
        raise TransactionMissing("there is no such transaction")

    channel.answers = dict.fromkeys(("peer1", "peer2"), missing)
    with pytest.raises(NotFoundError, match="no such transaction"):
        await channel.prove()


async def test_peers_must_be_told_from_others(channel: Channel) -> None:
    peers = ChannelTrust.by_config(channel.paper.config).peers
    for unknown in (peers["peer1"]._replace(mspid=""), peers["peer1"]._replace(pin=None)):
        with pytest.raises(SettingsError, match="nothing tells peer1 from others"):
            await channel.prove(ChannelTrust("shard1", {**peers, "peer1": unknown}))
    with pytest.raises(SettingsError, match="1 to 100 peers"):
        await channel.prove(ChannelTrust("shard1", {}))
    stranger = peers["peer1"]._replace(pin=Pin("peer1", frozenset({"ab" * 32})))
    proof = await channel.prove(ChannelTrust("shard1", {**peers, "peer1": stranger}, (channel.paper.config,)))
    assert proof.organisations == ("Org2MSP", "Org3MSP")
