"""Contracts against a real ledger: what they read is what validation checks again, and hosts see what was committed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.contract import Context, Contract, transaction
from gridledger.contract.executor import execute
from gridledger.contract.hosting.pool import HostPool, client_identity
from gridledger.contract.loader import Chaincode
from gridledger.identity import Identity
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.genesis import commit_genesis
from gridledger.ledger.memory_store import MemoryStore
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result
from gridledger.protocol.transaction import Transaction
from tests.support.examples import examples
from tests.support.paper import PaperChain, PaperNetwork, signed_transaction

KV = """
from gridledger.contract import Context, Contract, transaction


class KV(Contract):
    @transaction
    def put(self, ctx: Context, key, value):
        ctx.client_identity.assert_attribute_value("group", "1")
        ctx.stub.put_state(key, value)

    @transaction(readonly=True)
    def who(self, ctx: Context):
        me = ctx.client_identity
        return [me.get_id(), me.get_mspid(), me.role, me.certificate == ctx.stub.get_creator()]

    @transaction(readonly=True)
    def history(self, ctx: Context, key):
        return [[item.value, item.is_delete] for item in ctx.stub.get_history_for_key(key)]
"""


class Reader(Contract):
    """Reads a part of a range, and writes what it saw."""

    @transaction
    def run(self, ctx: Context, start: str, end: str, limit: int | None, stop_after: int) -> None:
        seen = []
        for key, _ in ctx.stub.get_state_by_range(start, end, limit):
            seen.append(key)
            if len(seen) == stop_after:
                break
        ctx.stub.put_state("~seen", seen)


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    """One whose client of Org1 has an attribute."""
    made = PaperNetwork()
    made.clients["Org1MSP"] = made.organisations["Org1MSP"].issue("aggregator", "client", attributes={"group": "1"})
    return made


def commit(committer: BlockCommitter, chain: PaperChain, *transactions: Transaction) -> list[TxValidationCode]:
    (committed,) = committer.process([chain.next(*transactions)])
    return list(committed.codes)


def endorsed(paper: PaperNetwork, proposal: Proposal, result: Result) -> Transaction:
    endorsements = [paper.endorsement(peer, result) for peer in ("peer1", "peer2")]
    return signed_transaction(proposal, result, endorsements, paper.client)


keys = st.text("abc", min_size=1, max_size=2)


@settings(max_examples=examples(60), deadline=None)
@given(
    stored=st.sets(keys, max_size=6),
    bounds=st.tuples(keys | st.just(""), keys | st.just("")),
    limit=st.none() | st.integers(0, 4),
    stop_after=st.integers(1, 4),
    change=keys,
    delete=st.booleans(),
)
def test_a_range_conflicts_with_just_what_a_contract_could_see(
    paper: PaperNetwork,
    *,
    stored: set[str],
    bounds: tuple[str, str],
    limit: int | None,
    stop_after: int,
    change: str,
    delete: bool,
) -> None:
    store = MemoryStore()
    commit_genesis(store, paper.genesis)
    ledger, chain = Ledger(paper.channel, store), PaperChain(paper)
    committer = BlockCommitter(ledger)
    if stored:
        assert commit(committer, chain, paper.transaction(dict.fromkeys(sorted(stored), 1))) == [0]

    proposal = paper.proposal("run", *bounds, limit, stop_after)
    identity = Identity("Org1MSP", "client", paper.client.certificate)
    chaincode = Chaincode([Reader()])

    def run() -> Result:
        with ledger.snapshot() as snapshot:
            return execute(chaincode, proposal, client_identity(identity), snapshot)

    before = run()
    assert before.response.status == 200
    commit(committer, chain, paper.transaction({change: None if delete else 2}))
    # The oracle: the same contract, run again, writes something else or reads another version of something.
    same = run().text == before.text
    (code,) = commit(committer, chain, endorsed(paper, proposal, before))
    assert code == (TxValidationCode.VALID if same else TxValidationCode.PHANTOM_READ_CONFLICT)


async def test_a_host_serves_a_real_client_on_a_real_ledger(tmp_path: Path, paper: PaperNetwork) -> None:
    package = tmp_path / "kv"
    package.mkdir()
    (package / "contract.py").write_text(KV)
    ledger = Ledger.create(tmp_path / "ledgers", paper.genesis)
    committer, chain = BlockCommitter(ledger), PaperChain(paper)
    caller = Identity("Org1MSP", "client", paper.client.certificate)
    async with HostPool(package, tmp_path / "ledgers", size=1) as pool:

        async def call(function: str, *args: Any) -> tuple[Proposal, Result]:
            proposal = paper.proposal(function, *args)
            return proposal, Result.parse(await pool.call(proposal, caller))

        for value in (1, {"x": [2.5]}):
            proposal, result = await call("put", "a", value)
            assert commit(committer, chain, endorsed(paper, proposal, result)) == [TxValidationCode.VALID]
        assert commit(committer, chain, paper.transaction({"a": None})) == [TxValidationCode.VALID]
        assert (await call("history", "a"))[1].response.payload == [[None, True], [{"x": [2.5]}, False], [1, False]]

        client_id = "x509::CN=aggregator,OU=client::CN=Org1MSP root"
        assert (await call("who"))[1].response.payload == [client_id, "Org1MSP", "client", True]
        outsider = paper.organisations["Org2MSP"].issue("outsider", "client", attributes={"group": "2"})
        caller = replace(caller, mspid="Org2MSP", certificate=outsider.certificate)
        _, refused = await call("put", "a", 1)
        assert refused.response.status == 400
        assert "group = '1'; it has '2'" in refused.response.message
    ledger.close()
