"""What happens to those who are connected already: certificates that expire or are revoked, configs that change."""

from __future__ import annotations

import asyncio
import http.client
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from gridledger import jsontext
from gridledger.client.ca import CAClient
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.transport.node_client import NodeClient, client_tls
from tests.support.forgery import CHANNEL, Forger, now_us
from tests.support.local_network import LocalNetwork
from tests.support.paper import paper_policies
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
STREAMS = [
    ("peer2", "events/blocks"),
    ("peer2", "events/full-blocks"),
    ("orderer1", "deliver"),
    ("orderer3", "deliver"),
]
"""Of each node and kind one that is open when its reader is revoked."""


class _OneConnection:
    """HTTP over one TLS connection that is never opened again."""

    def __init__(self, network: LocalNetwork, name: str, identity: SigningIdentity) -> None:
        where = urlsplit(network.entry(name).url)
        tls = client_tls(identity, network.roots)
        self._connection = http.client.HTTPSConnection(where.hostname or "", where.port, context=tls, timeout=10)
        self._connection.connect()
        self._socket = self._connection.sock

    def get(self, path: str) -> tuple[int, str | None]:
        """The status, and the error's code if there is one."""
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        body = answer.read()
        assert self._connection.sock is self._socket, "the connection was closed"
        return answer.status, None if answer.status < 400 else jsontext.loads(body)["error"]["code"]

    def close(self) -> None:
        self._connection.close()


async def test_certificate_expires_on_an_open_connection(forger: Forger) -> None:
    short = forger.certified("Org1", lifetime_s=4)
    connection = await asyncio.to_thread(_OneConnection, forger.network, "peer1", short)
    try:
        assert await asyncio.to_thread(connection.get, "/channels") == (200, None)

        async def refused() -> bool:
            return await asyncio.to_thread(connection.get, "/channels") == (401, "CERTIFICATE_EXPIRED")

        await eventually(refused, within_s=10, what="the certificate has expired")
    finally:
        connection.close()


async def test_config_bites_at_once(forger: Forger) -> None:
    """A revocation ends open streams and is felt on open connections; what was ordered behind it is judged under it."""
    network, ca = forger.network, forger.network.profile.ca
    fired = await network.client("Org1", "fired")
    authority = CAClient(ca.url, "Org1", ca.tls_root)
    connection = await asyncio.to_thread(_OneConnection, network, "peer2", fired)
    streams = [asyncio.create_task(_read(network.node(name, fired), kind)) for name, kind in STREAMS]
    await eventually(lambda: _get_ok(connection), within_s=10, what="a good connection")

    async with network.gateway("peer1", fired) as gateway:
        theirs = await Forger.at(network, gateway)
        last_act = (await theirs.endorsed("put", "last-act", 1)).to_bytes()
    old_sequence = (await forger.endorsed("put", "old-sequence", 1)).to_bytes()
    registrar = SigningIdentity.load(network.profile.user("Org1", "registrar"))
    await authority.revoke(registrar, "fired")
    # The CA has revoked it; the channel does not know yet.
    assert await asyncio.to_thread(connection.get, f"/channels/{CHANNEL}") == (200, None)

    current = await forger.gateway.get_network(CHANNEL).get_config()
    organisation = replace(current.organisations["Org1MSP"], crls=(await authority.crl(),))
    kv = replace(current.chaincodes["kv"], sequence=current.chaincodes["kv"].sequence + 1)
    following = replace(
        current,
        sequence=current.sequence + 1,
        organisations={**current.organisations, "Org1MSP": organisation},
        chaincodes={**current.chaincodes, "kv": kv},
    )
    admins = [network.admin("Org1"), network.admin("Org2")]
    readers = {"Application/Readers": "OR(any.peer, any.admin)"}
    rival = replace(current, sequence=current.sequence + 1, policies=paper_policies(readers, current.policies))
    updates = [ConfigUpdate.build(config, admins, time_us=now_us()).to_bytes() for config in (following, rival)]
    height, _ = await network.agree(CHANNEL)
    # One request: the orderers check all of it against the configuration that still holds.
    await forger.broadcast(updates[0], last_act, old_sequence, updates[1])
    after, _ = await network.agree(CHANNEL)

    expected = ["VALID", Code.BAD_CREATOR_SIGNATURE.name, Code.EXPIRED_CHAINCODE.name, "INVALID_CONFIG_TRANSACTION"]
    for peer in ("peer1", "peer2"):
        assert [code for block in range(height, after) for code in await forger.codes(peer, block)] == expected
    assert await forger.gateway.get_network(CHANNEL).get_config() == following
    for key in ("last-act", "old-sequence"):
        assert await forger.contract.evaluate_transaction("get", key) is None

    assert await asyncio.to_thread(connection.get, f"/channels/{CHANNEL}") == (401, "CERTIFICATE_REVOKED")
    connection.close()
    async with asyncio.timeout(10):
        refusals = await asyncio.gather(*streams)
    assert [(error.status, error.code) for error in refusals] == [(401, "CERTIFICATE_REVOKED")] * len(STREAMS)
    with pytest.raises(GridLedgerError) as caught:
        await forger.broadcast(last_act)
    assert (caught.value.status, caught.value.code) == (401, "CERTIFICATE_REVOKED")


async def _get_ok(connection: _OneConnection) -> bool:
    return await asyncio.to_thread(connection.get, f"/channels/{CHANNEL}") == (200, None)


async def _read(node: NodeClient, kind: str) -> GridLedgerError:
    """Follow one stream, once, until it ends; the error with which it does."""
    path = f"/channels/{CHANNEL}/{kind}"
    async with node:
        try:
            async for _ in node.frames(path) if kind.endswith(("deliver", "full-blocks")) else node.lines(path):
                pass
        except GridLedgerError as error:
            return error
    raise AssertionError("the stream ended without an error")
