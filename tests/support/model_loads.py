"""Loads and reports as they would be measured if the costs of the model were ``KNOWN``."""

from __future__ import annotations

from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.measure.results import BenchmarkReport, BlockSizes, Latency, Load, ProcessUse
from benchmarks.model.costs import REMOTE_SHARE, Costs

KNOWN = Costs(
    client=0.0006,
    edge=0.0008,
    edge_block=0.0012,
    host=0.00015,
    orderer=0.0002,
    orderer_block=0.003,
    verify=0.00006,
    commit=0.00012,
    commit_block=0.0011,
    append_s=0.003,
)


def model_load(topology, tx_s, block, mean_ms):
    """A load as it would have been measured, were the costs the known ones."""
    shards, peers, endorsers = TOPOLOGIES[topology]
    per_block = 1 / block
    per_tx = {
        "engine": KNOWN.client,
        "edge": KNOWN.edge * (1 + REMOTE_SHARE * (endorsers - 1)) + peers * per_block * KNOWN.edge_block,
        "host": endorsers * KNOWN.host,
        "orderer": KNOWN.orderer + per_block * KNOWN.orderer_block,
        "committer": peers * (KNOWN.commit_total(endorsers) + per_block * KNOWN.commit_block),
        "CA": 1.0,
    }
    processes = [
        ProcessUse(name=f"{kind}{index}", kind=kind, pid=index, cores=cost * tx_s / 2,
                   rss_first_bytes=0, rss_last_bytes=0, rss_max_bytes=0)
        for kind, cost in per_tx.items()
        for index in range(2)
    ]  # fmt: skip
    count = int(tx_s * 10)
    blocks = [
        BlockSizes(channel=f"shard{index}", blocks=round(count / block / shards), transactions=count // shards,
                   mean=block, p50=round(block), max=round(block))
        for index in range(shards)
    ]  # fmt: skip
    latency = Latency(mean_ms=mean_ms, p50_ms=mean_ms, p95_ms=mean_ms, p99_ms=mean_ms, max_ms=mean_ms)
    return Load(
        topology=topology, workload="put", controller={}, workers=2, offered_tx_s=None, started_at="", measured_s=10,
        sent=count, valid=count, tx_s=tx_s, codes={"VALID": count}, refused={}, latency=latency, payload_bytes=100,
        disk_bytes_per_tx=None, floor_tx_s=None, generator_cores=KNOWN.client * tx_s, generator_us_per_request=600,
        processes=processes, blocks=blocks, seconds=[],
    )  # fmt: skip


def model_report(*loads):
    machine = {"cores": 4, "verify_s": KNOWN.verify, "commit": "0", "processor": "none", "python": "3.11"}
    return BenchmarkReport(title="made for a test", machine=machine, configuration={}, loads=list(loads))
