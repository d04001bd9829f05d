"""The columns of a run's tables: name, type, unit and meaning. docs/results.md shows the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Type = Literal["integer", "real", "text", "truth"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; any may be empty in a row where ``optional``."""

    name: str
    type: Type
    unit: str
    meaning: str
    optional: bool = False


_TIME = (
    Column("time_us", "integer", "µs", "microseconds since 1970: the frame's time, or when it was done"),
    Column("at_s", "real", "s", "the same in seconds since the run began"),
)
_ID = Column("group", "text", "", "the id, of a single or a merged group")

FRAMES: Final = (
    *_TIME,
    _ID,
    Column("outcome", "text", "", "the contract's, or `failed`, or `superseded`"),
    Column("fault", "text", "", "the error's code where there is no result, else empty"),
    Column("weak_bus", "integer", "", "the bus that was judged", optional=True),
    Column("vsi", "real", "1", "its index", optional=True),
    Column("threshold", "real", "1", "what it was judged by", optional=True),
    Column("alarm", "truth", "", "whether the index is below the threshold", optional=True),
    Column("latency_ms", "real", "ms", "from the time for which the frame was meant to the durable commit"),
    Column("late_ms", "real", "ms", "the part of it before the frame left"),
    Column("tx_id", "text", "", "the transaction, empty where there is none"),
    Column("slack_p_mw", "real", "MW", "generated at the reference bus"),
    Column("slack_q_mvar", "real", "MVAr", "the same, reactive"),
    Column("at_limit", "text", "MVAr", "generator buses held at a reactive limit, as `BUS:LIMIT=Q`, spaces between"),
    Column("beyond_limit", "text", "MVAr", "those beyond a limit that is not enforced, in the same form"),
)
BUSES: Final = (
    *_TIME,
    _ID,
    Column("home", "text", "", "the single group that the bus belongs to"),
    Column("bus", "integer", "", "the bus number of the case"),
    Column("kind", "text", "", "`load`, `generator` or `reference`, in the case as given"),
    Column("v_pu", "real", "p.u.", "voltage magnitude"),
    Column("angle_deg", "real", "degrees", "voltage angle"),
    Column("pd_mw", "real", "MW", "demand"),
    Column("qd_mvar", "real", "MVAr", "demand less what is injected there"),
    Column("vsi", "real", "1", "the contract's index: load buses, and generators held at a limit", optional=True),
    Column("threshold", "real", "1", "the index that it is judged by, where it has one", optional=True),
    Column("outcome", "text", "", "the frame's"),
)
ACTIONS: Final = (
    *_TIME,
    _ID,
    Column("action", "integer", "", "its number under this id: 1, 2, ..."),
    Column("weak_bus", "integer", "", "the bus that it is for"),
    Column("source_bus", "integer", "", "the bus where it is injected"),
    Column("sensitivity", "real", "p.u./p.u.", "dQ/dV by which it was computed"),
    Column("q_required_pu", "real", "p.u.", "what was wanted"),
    Column("q_pu", "real", "p.u.", "what was ordered; negative: a release"),
    Column("q_mvar", "real", "MVAr", "the same"),
    Column("standing_mvar", "real", "MVAr", "what stands at the source bus then, of this run's actions"),
    Column("tx_id", "text", "", "the transaction that ordered it"),
)
MERGES: Final = (
    *_TIME,
    _ID,
    Column("what", "text", "", "`merged`, `extended` or `returned`"),
    Column("merge", "integer", "", "the merge's number", optional=True),
    Column("status", "text", "", "the ledger's word for where it stands"),
)
CHANGES: Final = (
    *_TIME,
    Column("kind", "text", "", "`load`, `outage`, `restored`, `resources`, `bad_data`, `limit`, `record`, ..."),
    Column("text", "text", "", "the same for people; of several rows of one change only the first has it"),
    Column("bus", "integer", "", "where it is about one bus", optional=True),
    Column("p_mw", "real", "MW", "its new demand", optional=True),
    Column("q_mvar", "real", "MVAr", "its new demand", optional=True),
)
MEASURED_BUSES: Final = (
    *_TIME,
    _ID,
    Column("bus", "integer", "", "a bus of the frame: of the group, or next to it"),
    Column("v_pu", "real", "p.u.", "voltage magnitude as sent"),
    Column("angle_deg", "real", "degrees", "voltage angle as sent"),
    Column("pd_mw", "real", "MW", "demand as sent"),
    Column("qd_mvar", "real", "MVAr", "demand less what is injected there, as sent"),
)
MEASURED_BRANCHES: Final = (
    *_TIME,
    _ID,
    Column("from_bus", "integer", "", "where the branch begins"),
    Column("to_bus", "integer", "", "where it ends"),
    Column("number", "integer", "", "which of the frame's branches with these ends: 1, 2, ..."),
    Column("pf_mw", "real", "MW", "flow into the branch at its beginning, as sent"),
    Column("qf_mvar", "real", "MVAr", "the same, reactive"),
    Column("pt_mw", "real", "MW", "flow into the branch at its end, as sent"),
    Column("qt_mvar", "real", "MVAr", "the same, reactive"),
)

FORMAT: Final = 2
"""Of run.json and the tables; a later one may have more members, tables and columns, never fewer."""

TABLES: Final = {
    "frames": FRAMES,
    "buses": BUSES,
    "actions": ACTIONS,
    "merges": MERGES,
    "changes": CHANGES,
    "measured_buses": MEASURED_BUSES,
    "measured_branches": MEASURED_BRANCHES,
}
"""By name: the files are NAME.parquet and NAME.csv."""
