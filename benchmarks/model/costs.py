"""The core time that a transaction costs each kind of process, fitted to a report's loads of one topology."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.measure.results import BenchmarkReport, Load
from gridledger.errors import InputError

KINDS = ("client", "edge", "host", "orderer", "committer")
"""Kinds of processes; "client" are the load generator's."""
FITTED = ("client", "edge", "edge_block", "host", "orderer", "orderer_block", "verify", "commit", "commit_block")
"""The costs that are fitted to a report."""
BUSY_SHARE = 0.6
LEAST_DONE = 0.5
"""The fit leaves out loads that use less than ``BUSY_SHARE`` of the cores that saturation uses, as the same work costs
less on a quiet machine, and loads with less than ``LEAST_DONE`` of saturation's throughput, which are overload."""

REMOTE_SHARE = 0.7
"""The cost of one more endorsing peer to all edges, by the cost of a transaction that only the gateway's peer endorses:
0.65 ms at that peer and 0.45 at the gateway, by 0.55 to endorse alone and 1.0 to submit (docs/peer.md)."""

LEADER_SHARE = 0.5
"""The leader's share of three orderers' core time: 2.6 to 2.8 ms, a follower's 1.2 to 1.4 (docs/orderer.md)."""

BLOCK_TO_TRANSACTION = {"edge": 0.43, "orderer": 10.0, "committer": 5.0}
"""The cost of a block on one process by the cost of a transaction, for reports whose loads all have blocks of one size,
from which the two cannot be told apart. Committer: 1.4 by 0.3 ms (docs/performance.md); the others from loads of 12 and
6 transactions a block without shards, commit 52bc97d9248c."""

IDLE_MS = 1.8
"""Core milliseconds per second that each orderer spends on an idle channel: measured with networks of one and of four
channels by ``python -m benchmarks.commands.idle_channel``, commit 52bc97d9248c."""

MAX_REFUSED = 0.02
"""The fit leaves out loads of which a larger share was refused, if there are others: refusals cost core time too."""

BLOCK_SIZE_RATIO = 1.3
"""Costs per block are fitted if the largest and the smallest mean block size have at least this ratio."""


class ReportUnusable(InputError):
    """The report lacks loads that the fit or the check needs."""

    code = "REPORT_UNUSABLE"


@dataclass(frozen=True, slots=True)
class Costs:
    """Core seconds. ``edge``: a transaction that only the gateway's peer endorses, on the gateway; ``host``: an
    endorsement; ``orderer``: a transaction on the three orderers together; ``verify``: a signature on a committer;
    ``commit``: the rest of a transaction there. ``*_block``: a block on one edge, on one committer, on the three
    orderers together.

    ``append_s``: from a batch's core time to its being on an orderer's disk; ``flush_s``: a peer's commit.
    ``idle_cores``: a channel's heartbeats on each orderer; ``deliver_s`` and ``deliver_byte_s``: sending a block to a
    peer beyond the ``receivers`` of the fit. ``envelope_bytes`` and ``endorsement_bytes`` make up a transaction's size;
    ``edges`` and ``hosts`` are the numbers of a peer's processes.
    """

    client: float
    edge: float
    edge_block: float
    host: float
    orderer: float
    orderer_block: float
    verify: float
    commit: float
    commit_block: float
    envelope_bytes: float = 3300.0
    endorsement_bytes: float = 300.0
    append_s: float = 0.001
    flush_s: float = 0.001
    idle_cores: float = IDLE_MS / 1000
    deliver_s: float = 50e-6
    deliver_byte_s: float = 0.5e-9
    receivers: int = 2
    edges: int = 1
    hosts: int = 2

    def commit_total(self, endorsers: int) -> float:
        """A transaction on one committer, without the costs per block."""
        return self.commit + (1 + endorsers) * self.verify

    def size(self, endorsers: int) -> float:
        """Bytes of an envelope."""
        return self.envelope_bytes + endorsers * self.endorsement_bytes

    def microseconds(self) -> dict[str, float]:
        """The fitted costs in microseconds, rounded."""
        return {name: round(value * 1e6, 1) for name, value in asdict(self).items() if name in FITTED}


def used_cores(load: Load) -> dict[str, float]:
    """Cores that each kind used under a load."""
    sums = dict.fromkeys(KINDS, 0.0)
    for process in load.processes:
        if process.kind in sums:
            sums[process.kind] += process.cores
    sums["client"] = load.generator_cores
    return sums


def blocks_per_transaction(load: Load) -> float:
    """The number of blocks of all channels by the number of their transactions."""
    transactions = sum(channel.transactions for channel in load.blocks)
    return sum(channel.blocks for channel in load.blocks) / max(1, transactions)


def saturation(report: BenchmarkReport, topology: str, workload: str) -> Load | None:
    """The load with the highest throughput, however much of it was refused: early refusals cost a saturated network
    little, and a load below saturation is limited by what was offered."""
    return max(_all_of(report, topology, workload), key=lambda load: load.tx_s, default=None)


def loads_of(report: BenchmarkReport, topology: str, workload: str) -> list[Load]:
    """A topology's loads from which costs can be computed, without those of which much was refused."""
    loads = _all_of(report, topology, workload)
    return [load for load in loads if sum(load.refused.values()) <= MAX_REFUSED * load.sent] or loads


def _all_of(report: BenchmarkReport, topology: str, workload: str) -> list[Load]:
    return [
        load for load in report.loads if (load.topology, load.workload) == (topology, workload) and _says_costs(load)
    ]


def _says_costs(load: Load) -> bool:
    return load.valid > 0 and load.latency is not None and bool(load.processes) and blocks_per_transaction(load) > 0


def fit(report: BenchmarkReport, topology: str, workload: str) -> Costs:
    """Fit costs by least squares to a topology's busy loads: for each kind ``cores / (tx/s) = a + b * blocks / tx``."""
    best = saturation(report, topology, workload)
    if best is None:
        raise ReportUnusable(f"the report has no load of {workload} on {topology} to fit costs to: measure one")
    _, peers, endorsers = TOPOLOGIES[topology]
    least = BUSY_SHARE * sum(used_cores(best).values())
    loads = [
        load
        for load in loads_of(report, topology, workload)
        if sum(used_cores(load).values()) >= least and load.tx_s >= LEAST_DONE * best.tx_s
    ]
    best_cores = used_cores(best)
    edge = _split(loads, "edge", peers, BLOCK_TO_TRANSACTION["edge"])
    orderer = _split(loads, "orderer", 1, BLOCK_TO_TRANSACTION["orderer"])
    committer = _split(loads, "committer", peers, BLOCK_TO_TRANSACTION["committer"] / peers)
    per_peer = committer[0] / peers
    # The machine's time for a signature, but at most nine tenths of all that was measured of the committer.
    verify = min(float(report.machine["verify_s"]), 0.9 * per_peer / (1 + endorsers))
    return Costs(
        client=best_cores["client"] / best.tx_s,
        edge=edge[0] / (1 + REMOTE_SHARE * (endorsers - 1)),
        edge_block=edge[1],
        host=best_cores["host"] / best.tx_s / endorsers,
        orderer=orderer[0],
        orderer_block=orderer[1],
        verify=verify,
        commit=per_peer - (1 + endorsers) * verify,
        commit_block=committer[1],
        envelope_bytes=1400 + 1.2 * best.payload_bytes,
        receivers=peers,
        edges=_processes_per_node(best, "edge"),
        hosts=_processes_per_node(best, "host"),
    )


def _split(loads: Sequence[Load], kind: str, processes: int, ratio: float) -> tuple[float, float]:
    """Core seconds of a kind for a transaction on all its processes, and for a block on one of its ``processes``."""
    points = [(processes * blocks_per_transaction(load), used_cores(load)[kind] / load.tx_s) for load in loads]
    least, most = min(x for x, _ in points), max(x for x, _ in points)
    if most >= BLOCK_SIZE_RATIO * least:
        mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
        slope = min(max(slope, 0.0), *(y / x for x, y in points))
        return mean_y - slope * mean_x, slope
    x, y = fmean(x for x, _ in points), fmean(y for _, y in points)
    transaction = y / (1 + ratio * x)
    return transaction, ratio * transaction


def _processes_per_node(load: Load, kind: str) -> int:
    names = [process.name for process in load.processes if process.kind == kind]
    return max(1, round(len(names) / max(1, len(set(names)))))
