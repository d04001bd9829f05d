"""What the ledger costs on this machine: ``python -m benchmarks.commands.ledger_cost [TRANSACTIONS]``.

Transactions are ComputeVSI's in shape: a PMU frame of 1.6 KB (or three times the branches, 3.6 KB), a result of 0.3 KB
written under a new key, three endorsements. Judging is measured without signatures, which cost what they cost; bytes
are what LMDB's file has grown by. The least of several rounds is shown, as other processes only ever add.
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

from gridledger.ledger import Ledger
from gridledger.ledger.batch import batch_of
from gridledger.ledger.blocks import pack_block
from gridledger.ledger.validation import examine, verify_one_by_one
from gridledger.protocol.block import SignedBlock
from gridledger.protocol.result import Read, Response
from tests.support.channel import Chain, Channel

ROUNDS = 3
PEERS = ("peer1", "peer2", "peer3")


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


def frame(branches: int, order: random.Random, moment: int) -> dict[str, Any]:
    """A PMU frame of seven buses: the shape that the DVS chaincode takes, the numbers by chance."""
    return {
        "group": "1",
        "time": 1_767_225_600_000_000 + moment,
        "base": 100.0,
        "buses": [
            {"bus": bus, "Pd": 21.7, "Qd": 12.7, "Vm": order.uniform(0.9, 1.1), "Va": order.uniform(-5, 0)}
            for bus in range(2, 9)
        ],
        "branches": [
            {"f": 1, "t": to, **{name: order.uniform(-40, 40) for name in ("Pf", "Qf", "Pt", "Qt")}}
            for to in range(2, 2 + branches)
        ],
    }


def transactions(channel: Channel, count: int, branches: int) -> list[bytes]:
    """Endorsed and signed envelopes."""
    order = random.Random(30)  # noqa: S311 - numbers to fill frames with
    made = []
    for moment in range(count):
        sent = frame(branches, order, moment)
        answer = {
            "group": "1",
            "time": sent["time"],
            "profile": "corrected",
            "vsi": [{"bus": bus, "vsi": order.random()} for bus in (3, 4, 5)],
            "weak_bus": 4,
            "threshold": 0.88,
            "alarm": False,
            "outcome": "normal",
            "control": None,
        }
        key = f"vsi/1/{sent['time']}"
        transaction = channel.transaction(
            {key: answer},
            reads=[Read("group/1", None), Read(key, None)],
            response=Response(200, "", answer),
            proposal=channel.proposal("ComputeVSI", [sent]),
            endorsers=PEERS,
        )
        made.append(transaction.to_bytes())
    return made


def measure(channel: Channel, blocks: Sequence[SignedBlock], count: int) -> Cost:
    """Commit all blocks to a new ledger, part by part, several times over."""
    cost = Cost()
    for _ in range(ROUNDS):
        folder = Path(tempfile.mkdtemp(prefix="ledger-cost-"))
        try:
            with Ledger.create(folder, channel.genesis) as ledger:
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
    channel = Channel.make(policy="OutOf(3, all)")
    print(
        "argument envelope in a block |  read judge  batch compress  us/tx | signatures us/tx | commit ms/block | "
        "bytes/tx  x argument  x envelope"
    )
    for branches in (9, 27):
        for size in (1, 10, 50):
            envelopes = transactions(channel, count, branches)
            argument = len(json.dumps(frame(branches, random.Random(30), 0), separators=(",", ":")))  # noqa: S311
            chain = Chain(channel)
            blocks = [chain.next(*envelopes[start : start + size]) for start in range(0, count, size)]
            cost = measure(channel, blocks, count)
            envelope = len(envelopes[0])
            print(
                f"{argument:8d} {envelope:8d} {size:10d} | {cost.read:5.0f} {cost.judge:5.0f} {cost.batch:6.0f} "
                f"{cost.compress:8.0f}        | {cost.signatures:16.0f} | {cost.commit:15.2f} | {cost.disk:8.0f} "
                f"{cost.disk / argument:11.2f} {cost.disk / envelope:11.2f}"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
