"""The recorder that writes a run's folder: ``run.json`` and the tables of :mod:`services.feeder.results.columns`."""

from __future__ import annotations

import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gridledger import jsontext
from gridledger.demonstration.summary import percentiles_ms
from gridledger.errors import InputError
from gridledger.files import no_space_left
from gridledger.grid.case import PQ, REFERENCE, Case, FloatArray, IntArray
from gridledger.grid.frames import Frame
from gridledger.grid.grouping import components
from gridledger.grid.power_flow import GridState
from gridledger.grid.q_limits import AtLimit
from services.feeder.group_loop import FrameAnswer
from services.feeder.merging import Merge
from services.feeder.results.columns import FORMAT, TABLES
from services.feeder.results.provenance import provenance
from services.feeder.results.recorder import RecordedChange, RunMeta
from services.feeder.results.table_writer import TableWriter, arrow

_EVERY_S: Final = 10.0
"""After so long what was collected is written, however little: a run that is killed loses no more."""

_KINDS: Final = {PQ: "load", REFERENCE: "reference"}


@dataclass(frozen=True, slots=True)
class _Members:
    """The members of one id, and what their rows always say."""

    positions: IntArray
    buses: IntArray
    row: dict[int, int]
    loads: npt.NDArray[np.bool_]
    thresholds: FloatArray
    columns: dict[str, Any]
    """home, bus and kind as Arrow arrays, which are made once."""


class RunWriter:
    """A :class:`~services.feeder.results.recorder.RunRecorder` that writes into ``folder``, which it makes.

    ``csv``: also as CSV, which takes five times the space. Needs pyarrow (MissingExtra). Raises InputError where the
    folder holds something or cannot be written, and NoSpaceLeft where the disk is full: what was written before can
    be read, and run.json says that the run has not ended.
    """

    def __init__(self, folder: Path, *, csv: bool = True) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is not empty: name a new folder for the results", folder=str(folder))
        self.folder = folder
        self._csv = csv
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="results")
        self._tables: dict[str, TableWriter] = {}
        self._meta: RunMeta | None = None
        self._head: dict[str, Any] = {}
        self._members: dict[str, _Members] = {}
        self._written_at = time.monotonic()
        self._outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self._latencies_ms = array("d")
        self._standing: Counter[int] = Counter()
        self._actions = 0
        self._slack: list[tuple[float, float]] = []
        self._slack_state: GridState | None = None
        self._slack_now = (0.0, 0.0)
        self._at_limit: dict[tuple[int, str], AtLimit] = {}
        self._beyond_limit: dict[tuple[int, str], AtLimit] = {}

    def begin(self, meta: RunMeta) -> None:
        """Make the folder and write what is known."""
        self._meta = meta
        self._head = _head(meta)
        with self._written():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_run({"ended": None})
            for name, columns in TABLES.items():
                self._tables[name] = TableWriter(self.folder, name, columns, disk=self._disk, csv=self._csv)

    def frame(self, answer: FrameAnswer, state: GridState, *, late_s: float = 0.0, outcome: str = "") -> None:
        """A row of ``frames``, and one of ``buses`` for each member of the id."""
        outcome = outcome or answer.outcome
        latency_ms = 1000.0 * (late_s + answer.latency_s)
        self._outcomes[answer.group][outcome] += 1
        if answer.result is not None:
            self._latencies_ms.append(latency_ms)
        result, vsi_of = answer.result or {}, answer.vsi
        weak = result.get("weak_bus")
        slack = self._slack_of(answer.case, state)
        self._row(
            "frames",
            answer.time_us,
            group=answer.group,
            outcome=outcome,
            fault=answer.fault,
            weak_bus=weak,
            vsi=vsi_of.get(weak or 0),
            threshold=result.get("threshold"),
            alarm=result.get("alarm"),
            latency_ms=latency_ms,
            late_ms=1000.0 * late_s,
            tx_id=answer.tx_id,
            slack_p_mw=slack[0],
            slack_q_mvar=slack[1],
            at_limit=_limits_text(state.at_limit),
            beyond_limit=_limits_text(state.beyond_limit),
        )
        self._note_limits(state)
        self._add_buses(answer, vsi_of, state, outcome)
        if answer.sent is not None:
            self._add_measured(answer.group, answer.sent)
        if time.monotonic() - self._written_at > _EVERY_S:
            self._write_all()

    def action(self, group: str, control: Mapping[str, Any], time_us: int, tx_id: str) -> None:
        """A row of ``actions``."""
        self._actions += 1
        source = control["source_bus"]
        self._standing[source] += control["q_mvar"]
        names = ("action", "weak_bus", "source_bus", "sensitivity", "q_required_pu", "q_pu", "q_mvar")
        values = {name: control[name] for name in names}
        self._row("actions", time_us, group=group, **values, standing_mvar=self._standing[source], tx_id=tx_id)

    def merge(self, what: str, merge: Merge, time_us: int) -> None:
        """A row of ``merges``."""
        self._row("merges", time_us, group=merge.group, what=what, merge=merge.number, status=merge.status)

    def change(self, change: RecordedChange) -> None:
        """A row of ``changes``."""
        values = {"kind": change.kind, "text": change.text, "bus": change.bus}
        self._row("changes", change.time_us, **values, p_mw=change.p_mw, q_mvar=change.q_mvar)

    def end(self, summary: Mapping[str, Any] | None) -> None:
        """Close the tables and write the whole run.json. Nothing where the run has not begun."""
        with self._written():
            try:
                for table in self._tables.values():
                    table.close()
            finally:
                self._disk.shutdown()
            if self._meta is not None:
                self._write_run(self._tail(summary))

    @contextmanager
    def _written(self) -> Iterator[None]:
        """In the block the folder is written; what the disk refuses is told in our errors."""
        try:
            yield
        except OSError as error:
            why = f"{self.folder} cannot be written: {error.strerror or error}"
            raise no_space_left(error, self.folder) or InputError(why, folder=str(self.folder)) from error

    def _row(self, table: str, time_us: int, **values: Any) -> None:
        if not self._tables:
            return  # what comes while the run is set up is no part of it
        with self._written():
            self._tables[table].add({"time_us": time_us, "at_s": self._at_s(time_us), **values}, 1)

    def _at_s(self, time_us: int) -> float:
        return (time_us - self._begun.begun_us) / 1e6

    @property
    def _begun(self) -> RunMeta:
        if self._meta is None:
            raise InputError("the recorder was told of a run that has not begun")
        return self._meta

    def _add_buses(self, answer: FrameAnswer, vsi_of: Mapping[int, float], state: GridState, outcome: str) -> None:
        members = self._members.get(answer.group)
        if members is None:
            members = self._members[answer.group] = self._members_of(answer.group)
        vsi = np.full(len(members.buses), np.nan)
        vsi[[members.row[bus] for bus in vsi_of]] = list(vsi_of.values())
        at = members.positions
        columns = {
            "time_us": answer.time_us,
            "at_s": self._at_s(answer.time_us),
            "group": answer.group,
            **members.columns,
            "v_pu": state.vm[at],
            "angle_deg": state.va[at],
            "pd_mw": state.pd[at] + 0.0,
            "qd_mvar": state.qd[at] + 0.0,
            "vsi": vsi,
            "threshold": self._thresholds(members, answer, vsi),
            "outcome": outcome,
        }
        with self._written():
            self._tables["buses"].add(columns, len(members.buses))

    def _add_measured(self, group: str, sent: Frame) -> None:
        """What was sent, where it is not the grid's state itself."""
        head = {"time_us": sent["time"], "at_s": self._at_s(sent["time"]), "group": group}
        for table, columns in (("measured_buses", _sent_buses(sent)), ("measured_branches", _sent_branches(sent))):
            rows = len(next(iter(columns.values())))
            if rows:
                with self._written():
                    self._tables[table].add({**head, **columns}, rows)

    def _members_of(self, name: str) -> _Members:
        case, grouping = self._begun.case, self._begun.grouping
        homes = [(bus, group) for group in components(name) for bus in grouping[group]]
        buses = [bus for bus, _ in homes]
        positions = np.asarray([case.position[bus] for bus in buses], dtype=np.int64)
        return _Members(
            positions=positions,
            buses=np.asarray(buses, dtype=np.int64),
            row={bus: row for row, bus in enumerate(buses)},
            loads=case.kind[positions] == PQ,
            thresholds=np.asarray([self._begun.thresholds[group] for _, group in homes], dtype=np.float64),
            columns={
                "home": arrow().array([group for _, group in homes], type="string"),
                "bus": arrow().array(buses, type="int64"),
                "kind": arrow().array([_KINDS.get(int(k), "generator") for k in case.kind[positions]], type="string"),
            },
        )

    def _thresholds(self, members: _Members, answer: FrameAnswer, vsi: FloatArray) -> FloatArray:
        """A bus is judged by its home group's threshold; in ``published`` a merged group has one of its own."""
        meta = self._begun
        if meta.profile == "published" and answer.result is not None and answer.result["threshold"] is not None:
            thresholds = np.full(len(members.buses), float(answer.result["threshold"]))
        else:
            thresholds = members.thresholds
        return np.where(members.loads | ~np.isnan(vsi), thresholds, np.nan)

    def _note_limits(self, state: GridState) -> None:
        for found, kept in ((state.at_limit, self._at_limit), (state.beyond_limit, self._beyond_limit)):
            for at in found:
                key = (at.bus, at.limit)
                if key not in kept or abs(at.q_mvar) > abs(kept[key].q_mvar):
                    kept[key] = at

    def _slack_of(self, case: Case, state: GridState) -> tuple[float, float]:
        if state is self._slack_state:
            return self._slack_now
        self._slack_state = state
        self._slack_now = p, q = slack_generation(case, state)
        if not self._slack:
            self._slack = [(p, p), (q, q)]
        (p_min, p_max), (q_min, q_max) = self._slack
        self._slack = [(min(p, p_min), max(p, p_max)), (min(q, q_min), max(q, q_max))]
        return p, q

    def _write_all(self) -> None:
        self._written_at = time.monotonic()
        with self._written():
            for table in self._tables.values():
                table.write()

    def _tail(self, summary: Mapping[str, Any] | None) -> dict[str, Any]:
        total: Counter[str] = Counter()
        for counts in self._outcomes.values():
            total += counts
        slack = dict(zip(("p_mw", "q_mvar"), ([low, high] for low, high in self._slack), strict=False))
        return {
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "interrupted": summary is None,
            "frames": total.total(),
            "outcomes": dict(sorted(total.items())),
            "outcomes_by_group": {name: dict(sorted(found.items())) for name, found in sorted(self._outcomes.items())},
            "actions": self._actions,
            "standing_mvar": {str(bus): q for bus, q in sorted(self._standing.items())},
            "latency_ms": percentiles_ms(ms / 1000.0 for ms in self._latencies_ms),
            "slack_range": slack,
            "reactive_limits": {
                "enforced": self._begun.enforce_q_limits,
                "at_limit": _limits_told(self._at_limit),
                "beyond_limit": _limits_told(self._beyond_limit),
            },
            "summary": None if summary is None else dict(summary),
        }

    def _write_run(self, tail: Mapping[str, Any]) -> None:
        unfinished = self.folder / "run.unfinished"
        try:
            unfinished.write_bytes(jsontext.dumps({**self._head, **tail}) + b"\n")
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        unfinished.replace(self.folder / "run.json")


def slack_generation(case: Case, state: GridState) -> tuple[float, float]:
    """MW and MVAr that the generators at the reference bus generate: what leaves it, its demand and its shunt."""
    at = case.position[case.reference]
    lines = case.branches
    p, q = state.flows[lines.f == at, :2].sum(axis=0) + state.flows[lines.t == at, 2:].sum(axis=0)
    squared = float(state.vm[at]) ** 2
    return (
        float(p + state.pd[at] + case.gs[at] * squared),
        float(q + state.qd[at] - case.bs[at] * squared),
    )


def _sent_buses(sent: Frame) -> dict[str, list[Any]]:
    rows = sent["buses"]
    names = {"bus": "bus", "v_pu": "Vm", "angle_deg": "Va", "pd_mw": "Pd", "qd_mvar": "Qd"}
    return {column: [row[quantity] for row in rows] for column, quantity in names.items()}


def _sent_branches(sent: Frame) -> dict[str, list[Any]]:
    rows = sent["branches"]
    names = {"from_bus": "f", "to_bus": "t", "pf_mw": "Pf", "qf_mvar": "Qf", "pt_mw": "Pt", "qt_mvar": "Qt"}
    columns = {column: [row[quantity] for row in rows] for column, quantity in names.items()}
    seen: Counter[tuple[int, int]] = Counter()
    numbers = []
    for row in rows:
        seen[row["f"], row["t"]] += 1
        numbers.append(seen[row["f"], row["t"]])
    return columns | {"number": numbers}


def _limits_text(found: Iterable[AtLimit]) -> str:
    return " ".join(f"{at.bus}:{at.limit}={at.q_mvar:.6g}" for at in found)


def _limits_told(found: Mapping[tuple[int, str], AtLimit]) -> list[dict[str, Any]]:
    return [
        {"bus": at.bus, "limit": at.limit, "limit_mvar": at.limit_mvar, "q_mvar": at.q_mvar}
        for _, at in sorted(found.items())
    ]


def _head(meta: RunMeta) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "begun": datetime.fromtimestamp(meta.begun_us / 1e6, UTC).isoformat(timespec="milliseconds"),
        "begun_us": meta.begun_us,
        "case": {
            "name": meta.case.name,
            "buses": len(meta.case.numbers),
            "branches": len(meta.case.branches),
            "base_mva": meta.case.base_mva,
            "reference": meta.case.reference,
            "digest": meta.case.digest,
            "no_base_kv": [
                bus for bus, kv in zip(meta.case.numbers, meta.case.base_kv.tolist(), strict=True) if not kv > 0.0
            ],
        },
        "profile": meta.profile,
        "groups": {group: list(members) for group, members in meta.grouping.items()},
        "thresholds": dict(meta.thresholds),
        "v_required": meta.v_required,
        "scenario": dict(meta.scenario),
        "seed": meta.seed,
        "enforce_q_limits": meta.enforce_q_limits,
        "rate": meta.rate,
        "network": dict(meta.network),
        **provenance(),
        **meta.more,
    }
