"""The thesis's sweeps: what each varies, its points, and the thesis's curves as read off its plots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.load.plan import ControllerSpec, LoadSpec, StrictModel
from benchmarks.load.topologies import TOPOLOGIES
from gridledger import jsontext

NAMES = {name: name if name == "no-shard" else name.replace("-", " ") for name in TOPOLOGIES}
"""The topologies' names in the thesis's legends."""
SECONDS_PER_POINT, QUICK_SECONDS = 20.0, 3.0
WARMUP_S = 0.5
"""Long enough to connect, too short to build a backlog where more is on offer than can be committed."""
NETWORK_WARMUP_S = 4.0
TRANSACTIONS, RATE, WORKERS = 8000, 800.0, 3
_FILE = Path(__file__).with_name("thesis-figures.json")


class ThesisCurves(StrictModel):
    """A sweep's curves in the thesis: x, and for each topology (no_shard, ...) throughput and mean latency over x."""

    x: list[int]
    x_label: str
    fixed: str
    tps: dict[str, list[float]]
    latency_s: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Sweep:
    """One of the thesis's figures. ``varies`` is rate, transactions or workers."""

    name: str
    title: str
    varies: str
    workload: str
    curves: ThesisCurves

    def points(self, topology: str, *, most_seconds: float, quick: bool) -> list[Point]:
        """The sweep's points on one topology in the thesis's order; ``quick``: the first, the middle and the last."""
        values = self.curves.x
        if quick:
            values = [values[0], values[len(values) // 2], values[-1]]
        return [self._point(topology, x, most_seconds) for x in values]

    def _point(self, topology: str, x: int, most_seconds: float) -> Point:
        rate = float(x) if self.varies == "rate" else RATE
        asked = x if self.varies == "transactions" else TRANSACTIONS
        workers = x if self.varies == "workers" else WORKERS
        bound = max(1, int(rate * most_seconds))
        return Point(self.name, topology, x, self.workload, rate, asked, min(asked, bound), workers)


@dataclass(frozen=True, slots=True)
class Point:
    """One load. ``asked`` is the thesis's number of transactions, ``transactions`` what fits into the time allowed."""

    sweep: str
    topology: str
    x: int
    workload: str
    rate: float
    asked: int
    transactions: int
    workers: int

    @property
    def seconds(self) -> float:
        """How long the load is on offer."""
        return WARMUP_S + self.transactions / self.rate

    def spec(self) -> LoadSpec:
        """The load: open-loop at a fixed rate, as with Caliper's fixed-rate controller. In the warm-up the workers
        connect, which Caliper's workers do before a round begins."""
        return LoadSpec(
            workload=self.workload,
            controller=ControllerSpec(type="fixed-rate", opts={"tps": self.rate}),
            workers=self.workers,
            transactions=self.transactions,
            warmup_s=WARMUP_S,
        )


def network_warmup(workload: str) -> LoadSpec:
    """The load on a fresh network before its first point, which is not measured: hosts start and caches fill."""
    return LoadSpec(
        workload=workload,
        controller=ControllerSpec(type="fixed-rate", opts={"tps": 100.0}),
        workers=WORKERS,
        duration_s=NETWORK_WARMUP_S,
    )


def load_sweeps() -> list[Sweep]:
    """The thesis's four sweeps; the first is two here, one for each workload."""
    curves, _ = read_thesis()
    return [
        Sweep("send-rate", "Send rate, ComputeVSI", "rate", "ComputeVSI", curves["send_rate_compute_vsi"]),
        Sweep(
            "send-rate-local-controller",
            "Send rate, ComputeVSI and LocalController",
            "rate",
            "LocalController",
            curves["send_rate_local_controller"],
        ),
        Sweep("transactions", "Number of transactions", "transactions", "ComputeVSI", curves["transactions"]),
        Sweep("workers", "Number of workers", "workers", "ComputeVSI", curves["workers"]),
    ]


def read_thesis() -> tuple[dict[str, ThesisCurves], str]:
    """The thesis's curves by their names in thesis-figures.json, and that file's note on their source."""
    text = jsontext.loads(_FILE.read_bytes())
    note = str(text.pop("note"))
    return TypeAdapter(dict[str, ThesisCurves]).validate_python(text), note
