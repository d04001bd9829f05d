"""The blocking twin: the same names, parameters and defaults as the asynchronous SDK, and the same answers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from gridledger import client
from gridledger.client import blocking
from gridledger.client.errors import CommitError
from gridledger.client.signers import OfflineSigner
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.transport.call_frames import SUBMIT
from tests.unit.client.paper_gateway import PaperGateway

TWINS = {name: (getattr(client, name), getattr(blocking, name)) for name in blocking.__all__}
ASYNCHRONOUS_ONLY = {"Gateway": {"node"}}
"""A node's client is bound to the event loop of its gateway."""


def public(kind: Any) -> set[str]:
    """Members of a class, and what its instances get."""
    source = inspect.getsource(kind.__init__)
    instance = {part.split(" = ")[0].split(":")[0] for part in source.split("self.")[1:] if not part.startswith("_")}
    assigned = {name for name in instance if name.isidentifier() and f"self.{name} = " in source}
    return {name for name in vars(kind) if not name.startswith("_")} | assigned


def shape(function: Any) -> list[tuple[str, Any, Any, str]]:
    """Parameters with kind, default and annotation."""
    return [
        (item.name, item.kind, item.default, str(item.annotation))
        for item in inspect.signature(function).parameters.values()
    ]


def answer(function: Any) -> str:
    """What a function gives, an asynchronous iterator as a plain one."""
    return str(inspect.signature(function).return_annotation).replace("AsyncIterator", "Iterator")


def functions(kind: Any) -> Iterator[tuple[str, Any]]:
    for name, member in vars(kind).items():
        plain = member.__func__ if isinstance(member, classmethod) else member
        if not name.startswith("_") and inspect.isfunction(plain):
            yield name, plain


@pytest.mark.parametrize("name", [name for name in TWINS if name != "connect"])
def test_twins_have_the_same_members(name: str) -> None:
    asynchronous, twin = TWINS[name]
    assert public(twin) == public(asynchronous) - ASYNCHRONOUS_ONLY.get(name, set())


@pytest.mark.parametrize("name", [name for name in TWINS if name != "connect"])
def test_twins_take_and_give_the_same(name: str) -> None:
    asynchronous, twin = TWINS[name]
    for member, function in functions(twin):
        other = dict(functions(asynchronous))[member]
        assert shape(function) == shape(other), f"{name}.{member}"
        assert answer(function) == answer(other), f"{name}.{member}"


def test_both_connect_alike() -> None:
    assert shape(blocking.connect) == shape(client.connect)


def test_all_that_is_asynchronous_has_a_twin() -> None:
    asynchronous = {
        name
        for name in client.__all__
        for kind in [getattr(client, name)]
        if inspect.isclass(kind) and any(map(inspect.iscoroutinefunction, vars(kind).values()))
    }
    assert asynchronous - {"NodeClient"} | {"connect"} == set(blocking.__all__)


@pytest.fixture
def peer() -> PaperGateway:
    return PaperGateway()


def test_a_program_without_a_loop_takes_each_step(peer: PaperGateway) -> None:
    with blocking.Gateway(peer.gateway()) as gateway:
        kv = gateway.get_network("shard1").get_contract("kv")
        assert (kv.channel, kv.chaincode) == ("shard1", "kv")
        assert kv.evaluate_transaction("get", "k") == 7
        proposal = kv.new_proposal("put", "k", 1)
        assert proposal.evaluate() == 7
        transaction = proposal.endorse()
        assert (transaction.tx_id, transaction.result) == (
            proposal.tx_id,
            transaction.transaction.result.response.payload,
        )
        submitted = transaction.submit()
        path = f"/channels/shard1/transactions/{submitted.tx_id}/status"
        status = transaction.submit_and_wait()
        peer.answers[path] = status.to_dict()
        assert submitted.get_status() == status
        peer.next[SUBMIT] = [Code.MVCC_READ_CONFLICT]
        with pytest.raises(CommitError):
            kv.submit_transaction("put", "k", 1)


def test_signatures_come_from_elsewhere_here_too(peer: PaperGateway) -> None:
    alice = peer.paper.client
    with blocking.Gateway(peer.gateway(signer=OfflineSigner(alice.certificate, alice.mspid))) as gateway:
        proposal = gateway.get_network("shard1").get_contract("kv").new_proposal("put", "k", 1)
        transaction = proposal.with_signature(alice.sign(proposal.bytes)).endorse()
        assert len(proposal.digest) == len(transaction.digest) == 32
        signed = transaction.with_signature(alice.sign(transaction.bytes))
        assert signed.submit_and_wait().successful
