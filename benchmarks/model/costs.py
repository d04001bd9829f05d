"""What a transaction costs each kind of process, fitted to the loads of one topology of a benchmark's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from benchmarks.measure.results import Load, Report
from benchmarks.model.deployment import TOPOLOGIES
from gridledger.errors import InputError

KINDS = ("client", "edge", "host", "orderer", "committer")
_WORDS = {
    "generator": "client",
    "engine": "client",
    "locust": "client",
    "sender": "client",
    "committer": "committer",
    "host": "host",
    "orderer": "orderer",
    "edge": "edge",
    "peer": "edge",
}
BUSY_SHARE = 0.6
LEAST_DONE = 0.5
"""A load that uses less of the cores than ``BUSY_SHARE`` of what saturation uses is left out of the fit: on a quiet
machine the same work costs less. So is one that does less than ``LEAST_DONE`` of saturation's throughput: overload."""

REMOTE_SHARE = 0.7
"""What one more endorsing peer costs all edges, as a share of what the gateway alone spends: 0.65 ms at that peer and
0.45 at the gateway, by 0.55 to endorse alone and 1.0 to submit (docs/peer.md)."""

LEADER_SHARE = 0.5
"""The leader's share of what three orderers spend: 2.6 to 2.8 ms, each follower 1.2 to 1.4 (docs/orderer.md)."""

BLOCK_TO_TRANSACTION = {"edge": 0.43, "orderer": 10.0, "committer": 5.0}
"""Per block and process by per transaction, for a report whose loads have blocks of one size only, in which the two
cannot be told apart. Committer: 1.4 by 0.3 ms (docs/performance.md); the others from loads of 12 and 6 transactions a
block without shards, commit 52bc97d9248c."""

IDLE_MS = 1.8
"""Core milliseconds a second of each orderer for a channel where nothing happens: networks of one and of four channels,
`python -m benchmarks.commands.idle_channel`, commit 52bc97d9248c."""

MAX_REFUSED = 0.02
"""Loads of which more was refused are left out if there are others: what is refused costs too."""

BLOCK_SIZE_RATIO = 1.3
"""The least ratio of two loads' block sizes from which per-block costs are fitted."""


class ReportUnusable(InputError):
    """The report lacks loads that the fit or the check needs."""

    code = "REPORT_UNUSABLE"


@dataclass(frozen=True, slots=True)
class Costs:
    """Core seconds. ``edge``: on the gateway for a transaction that only its own peer endorses; ``host``: for an
    endorsement; ``orderer``: on the three together; ``verify``: for a signature on a committer; ``commit``: the rest
    of a transaction there. ``*_block``: for a block on one edge, one committer, on the three orderers together.

    ``append_s``: until a batch is on an orderer's disk, beyond its core time; ``flush_s``: a peer's commit.
    ``idle_cores``: of each orderer for a channel's heartbeats; ``deliver_s`` and ``deliver_byte_s``: to send a block to
    one more peer than the ``receivers`` of the fit. ``envelope_bytes`` and ``endorsement_bytes`` make a transaction's
    size; ``edges`` and ``hosts`` are processes of a peer.
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

    def edge_total(self, endorsers: int) -> float:
        """Of all edges for one transaction, without what is per block."""
        return self.edge * (1 + REMOTE_SHARE * (endorsers - 1))

    def commit_total(self, endorsers: int) -> float:
        """Of one committer for one transaction, without what is per block."""
        return self.commit + (1 + endorsers) * self.verify

    def size(self, endorsers: int) -> float:
        """Bytes of an envelope."""
        return self.envelope_bytes + endorsers * self.endorsement_bytes

    def microseconds(self) -> dict[str, float]:
        """The fitted costs, rounded, in microseconds."""
        fitted = (
            "client",
            "edge",
            "edge_block",
            "host",
            "orderer",
            "orderer_block",
            "verify",
            "commit",
            "commit_block",
        )
        return {name: round(value * 1e6, 1) for name, value in asdict(self).items() if name in fitted}


def kind_of(name: str) -> str | None:
    """A process's kind in the model's words; None for those that do nothing for a transaction."""
    lower = name.lower()
    return next((kind for word, kind in _WORDS.items() if word in lower), None)


def used(load: Load) -> dict[str, float]:
    """Cores that each kind used under a load."""
    sums = dict.fromkeys(KINDS, 0.0)
    for process in load.processes:
        kind = kind_of(process.kind)
        if kind is not None:
            sums[kind] += process.cores
    # A report may count the generator's processes apart from the network's.
    sums["client"] = max(sums["client"], load.generator_cores)
    return sums


def blocks_per_transaction(load: Load) -> float:
    """Blocks of all channels by transactions."""
    transactions = sum(channel.transactions for channel in load.blocks)
    return sum(channel.blocks for channel in load.blocks) / max(1, transactions)


def saturation(report: Report, topology: str, workload: str) -> Load | None:
    """The load with the highest throughput, whatever was refused beside it: early refusal costs a saturated network
    little, and a load below saturation is bound by what was offered."""
    return max(_all_of(report, topology, workload), key=lambda load: load.tx_s, default=None)


def loads_of(report: Report, topology: str, workload: str) -> list[Load]:
    """A topology's loads that committed something, and say what it cost; without those of which much was refused."""
    loads = _all_of(report, topology, workload)
    return [load for load in loads if sum(load.refused.values()) <= MAX_REFUSED * load.sent] or loads


def _all_of(report: Report, topology: str, workload: str) -> list[Load]:
    return [
        load for load in report.loads if (load.topology, load.workload) == (topology, workload) and _says_costs(load)
    ]


def _says_costs(load: Load) -> bool:
    return load.valid > 0 and load.latency is not None and bool(load.processes) and blocks_per_transaction(load) > 0


def fit(report: Report, topology: str, workload: str) -> Costs:
    """Costs by least squares over one topology's busy loads: for each kind ``cores / (tx/s) = a + b * blocks / tx``."""
    best = saturation(report, topology, workload)
    if best is None:
        raise ReportUnusable(f"the report has no load of {workload} on {topology} to fit costs to: measure one")
    _, peers, endorsers = TOPOLOGIES[topology]
    least = BUSY_SHARE * sum(used(best).values())
    loads = [
        load
        for load in loads_of(report, topology, workload)
        if sum(used(load).values()) >= least and load.tx_s >= LEAST_DONE * best.tx_s
    ]
    per_tx = {kind: fmean(used(load)[kind] / load.tx_s for load in [best]) for kind in ("client", "host")}
    edge = _split(loads, "edge", peers, BLOCK_TO_TRANSACTION["edge"])
    orderer = _split(loads, "orderer", 1, BLOCK_TO_TRANSACTION["orderer"])
    committer = _split(loads, "committer", peers, BLOCK_TO_TRANSACTION["committer"] / peers)
    per_peer = committer[0] / peers
    # The machine's time for a signature, but not more than nine tenths of what was measured for all the committer does.
    verify = min(float(report.machine["verify_s"]), 0.9 * per_peer / (1 + endorsers))
    return Costs(
        client=per_tx["client"],
        edge=edge[0] / (1 + REMOTE_SHARE * (endorsers - 1)),
        edge_block=edge[1],
        host=per_tx["host"] / endorsers,
        orderer=orderer[0],
        orderer_block=orderer[1],
        verify=verify,
        commit=per_peer - (1 + endorsers) * verify,
        commit_block=committer[1],
        envelope_bytes=1400 + 1.2 * best.payload_bytes,
        receivers=peers,
        edges=_each(best, "edge"),
        hosts=_each(best, "host"),
    )


def _split(loads: Sequence[Load], kind: str, processes: int, ratio: float) -> tuple[float, float]:
    """Core seconds of a kind: for a transaction on all its processes, for a block on one of ``processes``."""
    points = [(processes * blocks_per_transaction(load), used(load)[kind] / load.tx_s) for load in loads]
    least, most = min(x for x, _ in points), max(x for x, _ in points)
    if most >= BLOCK_SIZE_RATIO * least:
        mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
        slope = min(max(slope, 0.0), *(y / x for x, y in points))
        return mean_y - slope * mean_x, slope
    x, y = fmean(x for x, _ in points), fmean(y for _, y in points)
    transaction = y / (1 + ratio * x)
    return transaction, ratio * transaction


def _each(load: Load, kind: str) -> int:
    """Processes of a kind on a node."""
    names = [process.name for process in load.processes if kind_of(process.kind) == kind]
    return max(1, round(len(names) / max(1, len(set(names)))))
