"""What the index of transactions costs: ``python -m benchmarks.commands.index_cost [TRANSACTIONS]``.

Each block is committed to a ledger with an index and to one without (as an earlier version makes it), in turns, in one
thread. Printed is the thread's processor time for a transaction (median of the blocks), its ratio, the median of the
ratios block by block with quartiles, and bytes on the disk; then what a page of a search takes.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from benchmarks.commands.ledger_cost import ENDORSERS, sample_envelopes, sample_frame
from benchmarks.load.sample_chain import SampleChain
from gridledger.ledger import Ledger
from gridledger.ledger.codec import Table
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.index import INDEX
from gridledger.ledger.search import search
from gridledger.ledger.store import CommitBatch
from gridledger.protocol import Block, SignedBlock
from gridledger.protocol.search import TransactionFilter

SEARCHES = 50


def without_index(ledger: Ledger) -> None:
    """Leave a new ledger as an earlier version makes one: its commits write no index."""
    batch = CommitBatch(ledger.head.to_bytes())
    batch.changes[Table.META][INDEX] = None
    ledger.store.commit(batch)


def measure_commits(genesis: Block, blocks: Sequence[SignedBlock], count: int) -> str:
    """Commit each block with and without the index, in turns; a line of the table."""
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(TemporaryDirectory(prefix="index-cost-"))) for _ in range(2)]
        plain, indexed = (stack.enter_context(Ledger.create(folder, genesis)) for folder in folders)
        without_index(plain)
        before = [ledger.size_bytes() for ledger in (plain, indexed)]
        committers = {ledger: BlockCommitter(ledger) for ledger in (plain, indexed)}
        times: dict[Ledger, list[int]] = {plain: [], indexed: []}
        for number, block in enumerate(blocks):
            for ledger in (plain, indexed) if number % 2 else (indexed, plain):
                started = time.thread_time_ns()
                committers[ledger].process([block])
                times[ledger].append(time.thread_time_ns() - started)
        sizes = [(ledger.size_bytes() - then) / count for ledger, then in zip((plain, indexed), before, strict=True)]
    scale = len(blocks) / count / 1e3
    costs = [median(times[ledger]) * scale for ledger in (plain, indexed)]
    ratios = [after / earlier for earlier, after in zip(times[plain], times[indexed], strict=True)]
    lower, _, upper = quantiles(ratios, n=4)
    return (
        f"{costs[0]:7.0f} {costs[1]:7.0f} {costs[1] / costs[0]:7.3f}  "
        f"{median(ratios):6.3f} [{lower:.3f}, {upper:.3f}] | {sizes[0]:8.0f} {sizes[1]:8.0f}"
    )


def measure_search(genesis: Block, blocks: Sequence[SignedBlock]) -> str:
    """Milliseconds of a page of 50 transactions, and of a search that finds nothing."""
    with TemporaryDirectory(prefix="index-cost-") as folder, Ledger.create(folder, genesis) as ledger:
        committer = BlockCommitter(ledger)
        for block in blocks:
            committer.process([block])
        times = []
        for function in ("ComputeVSI", "nothing"):
            wanted = TransactionFilter(creator="client", chaincode="dvs", function=function)
            started = time.thread_time()
            for _ in range(SEARCHES):
                with ledger.snapshot() as snapshot:
                    search(snapshot, wanted, limit=50)
            times.append((time.thread_time() - started) / SEARCHES * 1e3)
    return f"a page of 50: {times[0]:.1f} ms, of none: {times[1]:.2f} ms"


def main(count: int) -> None:
    """Print two lines for each size of block."""
    print("in a block | us/tx without, with, ratio; block by block [quartiles] | bytes/tx without, with", flush=True)
    chain, generator = SampleChain(ENDORSERS), random.Random(30)  # noqa: S311 - numbers to fill frames with
    for size in (1, 10, 50):
        transactions = max(10 * size, count)
        frames = [sample_frame(9, generator, moment) for moment in range(transactions)]
        blocks = chain.blocks(sample_envelopes(chain, frames, generator), size)
        print(f"{size:10d} | {measure_commits(chain.genesis, blocks, transactions)}", flush=True)
        print(f"{'':10} | {measure_search(chain.genesis, blocks)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
