"""Costs of the ledger on this machine: ``python -m benchmarks.commands.ledger_cost [TRANSACTIONS]``.

The transactions have the shape of ComputeVSI's: a PMU frame of 1.6 KB (or 3.6 KB, with three times the branches), a
result of 0.3 KB written under a new key, three endorsements. Judging is measured without signatures, which are measured
by themselves; bytes are the growth of LMDB's file. The least of several rounds is printed, as other processes can only
add to it.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load.sample_chain import SampleChain
from gridledger.ledger import Ledger
from gridledger.ledger.batch import batch_of
from gridledger.ledger.blocks import pack_block
from gridledger.ledger.validation import examine, verify_one_by_one
from gridledger.protocol import Block, SignedBlock

ROUNDS = 3
ENDORSERS = 3


@dataclass
class Cost:
    """Microseconds, and bytes, for each transaction; commit in milliseconds for each block."""

    read: float = float("inf")
    judge: float = float("inf")
    batch: float = float("inf")
    compress: float = float("inf")
    commit: float = float("inf")
    signatures: float = float("inf")
    disk: float = 0.0


def sample_frame(branches: int, generator: random.Random, moment: int) -> dict[str, Any]:
    """A PMU frame of seven buses in the form that the DVS chaincode takes, with random numbers."""
    return {
        "group": "1",
        "time": 1_767_225_600_000_000 + moment,
        "base": 100.0,
        "buses": [
            {"bus": bus, "Pd": 21.7, "Qd": 12.7, "Vm": generator.uniform(0.9, 1.1), "Va": generator.uniform(-5, 0)}
            for bus in range(2, 9)
        ],
        "branches": [
            {"f": 1, "t": to, **{name: generator.uniform(-40, 40) for name in ("Pf", "Qf", "Pt", "Qt")}}
            for to in range(2, 2 + branches)
        ],
    }


def sample_envelopes(chain: SampleChain, frames: Sequence[dict[str, Any]], generator: random.Random) -> list[bytes]:
    """An endorsed and signed transaction for each frame."""
    envelopes = []
    for frame in frames:
        answer = {
            "group": "1",
            "time": frame["time"],
            "profile": "corrected",
            "vsi": [{"bus": bus, "vsi": generator.random()} for bus in (3, 4, 5)],
            "weak_bus": 4,
            "threshold": 0.88,
            "alarm": False,
            "outcome": "normal",
            "control": None,
        }
        key = f"vsi/1/{frame['time']}"
        envelopes.append(
            chain.envelope("ComputeVSI", frame, reads=["group/1", key], writes={key: answer}, answer=answer)
        )
    return envelopes


def measure(genesis: Block, blocks: Sequence[SignedBlock], count: int) -> Cost:
    """Commit all blocks to a new ledger, part by part, several times over."""
    cost = Cost()
    for _ in range(ROUNDS):
        folder = Path(tempfile.mkdtemp(prefix="ledger-cost-"))
        try:
            with Ledger.create(folder, genesis) as ledger:
                before = ledger.size_bytes()
                spent = _one_round(ledger, blocks)
                cost.disk = (ledger.size_bytes() - before) / count
        finally:
            shutil.rmtree(folder)
        for name, seconds in spent.items():
            scale = 1e3 / len(blocks) if name == "commit" else 1e6 / count
            setattr(cost, name, min(getattr(cost, name), seconds * scale))
    return cost


def _one_round(ledger: Ledger, blocks: Sequence[SignedBlock]) -> dict[str, float]:
    spent = dict.fromkeys(("read", "signatures", "judge", "compress", "batch", "commit"), 0.0)
    config = ledger.config()

    def lap(name: str, since: float) -> float:
        now = time.perf_counter()
        spent[name] += now - since
        return now

    for item in blocks:
        with ledger.snapshot() as snapshot:
            head = snapshot.head
            clock = time.perf_counter()
            examination = examine([item.block], config)
            clock = lap("read", clock)
            outcomes = verify_one_by_one(examination.checks)
            clock = lap("signatures", clock)
            judged = examination.judge(outcomes, snapshot)
            clock = lap("judge", clock)
        packed = pack_block(item.block)
        clock = lap("compress", clock)
        batch, _ = batch_of(head, judged, [item.signature], [packed])
        clock = lap("batch", clock)
        ledger.store.commit(batch)
        lap("commit", clock)
        if any(judged[0].codes):
            raise SystemExit(f"not all transactions are valid: {judged[0].codes}")
    return spent


def main(count: int) -> None:
    """Print one line for each size of frame and block."""
    print(
        "argument envelope in a block |  read judge  batch compress  us/tx | signatures us/tx | commit ms/block | "
        "bytes/tx  x argument  x envelope"
    )
    chain = SampleChain(ENDORSERS)
    for branches in (9, 27):
        generator = random.Random(30)  # noqa: S311 - numbers to fill frames with
        frames = [sample_frame(branches, generator, moment) for moment in range(count)]
        envelopes = sample_envelopes(chain, frames, generator)
        argument, envelope = len(json.dumps(frames[0], separators=(",", ":"))), len(envelopes[0])
        for size in (1, 10, 50):
            cost = measure(chain.genesis, chain.blocks(envelopes, size), count)
            print(
                f"{argument:8d} {envelope:8d} {size:10d} | {cost.read:5.0f} {cost.judge:5.0f} {cost.batch:6.0f} "
                f"{cost.compress:8.0f}        | {cost.signatures:16.0f} | {cost.commit:15.2f} | {cost.disk:8.0f} "
                f"{cost.disk / argument:11.2f} {cost.disk / envelope:11.2f}"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
