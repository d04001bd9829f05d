"""The chain that is made in memory."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load.sample_chain import SampleChain
from gridledger.ledger import Ledger
from gridledger.ledger.validation import examine, verify_one_by_one


def test_all_transactions_of_a_sample_chain_are_valid(tmp_path: Path) -> None:
    chain = SampleChain(organisations=3)
    envelopes = [
        chain.envelope("f", {"n": n}, reads=["other", f"key/{n}"], writes={f"key/{n}": n}, answer=n) for n in range(5)
    ]
    blocks = chain.blocks(envelopes, 2)
    assert [len(item.block.envelopes) for item in blocks] == [2, 2, 1]
    assert [item.block.header.number for item in blocks] == [1, 2, 3]
    with Ledger.create(tmp_path, chain.genesis) as ledger, ledger.snapshot() as snapshot:
        examination = examine([item.block for item in blocks], ledger.config())
        judged = examination.judge(verify_one_by_one(examination.checks), snapshot)
    assert [list(each.codes) for each in judged] == [[0, 0], [0, 0], [0]]
