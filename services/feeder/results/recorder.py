"""The recorder of a run: what the loop tells of itself while it runs, for tables and figures afterwards.

Times are microseconds since 1970, as in frames. Calls come from one event loop and return soon; what is slow is the
recorder's own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gridledger.grid.case import Case
from gridledger.grid.grouping import Grouping
from gridledger.grid.power_flow import GridState
from gridledger.grid.records import Profile
from services.feeder.group_loop import FrameAnswer
from services.feeder.merging import Merge


@dataclass(frozen=True, slots=True)
class RunMeta:
    """What is known before the first frame.

    ``scenario`` is the whole scenario as JSON, every default and every file that it names filled in. ``thresholds``:
    by single group. ``seed``: of noise and bad data, None where the run draws nothing. ``rate``: frames per second of
    each group, 0 where rounds follow one another. ``network``: topology, channels and who stands where. ``begun_us``:
    where the run's time begins. ``more`` goes into run.json as it is.
    """

    case: Case = field(repr=False)
    grouping: Grouping = field(repr=False)
    profile: Profile
    thresholds: Mapping[str, float]
    v_required: float
    scenario: Mapping[str, Any]
    begun_us: int
    seed: int | None = None
    enforce_q_limits: bool = False
    rate: float = 0.0
    network: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """Something that was done to the grid or to the ledger's view of it.

    ``kind``: ``load``, ``outage``, ``restored``, ``resources``, ``bad_data``, ``limit`` (a generator reached or left
    one), ``record`` (a new record was submitted) or another word; ``text`` says it to people. ``bus``, ``p_mw`` and
    ``q_mvar`` where it is one bus's new demand; a change of many buses is one call each.
    """

    time_us: int
    kind: str
    text: str
    bus: int | None = None
    p_mw: float | None = None
    q_mvar: float | None = None


class RunRecorder(Protocol):
    """Told of one run, from :meth:`begin` to :meth:`end`. A recorder that cannot write raises a GridLedgerError."""

    def begin(self, meta: RunMeta) -> None:
        """The run begins; what is told before, while it is set up, is no part of it."""
        ...

    def frame(self, answer: FrameAnswer, state: GridState, *, late_s: float = 0.0, outcome: str = "") -> None:
        """A frame was answered. ``state``: what was measured, without noise.

        ``late_s``: from the time for which the frame was meant until it left. ``outcome``: what became of it where
        the stream knows better than the answer (``superseded``).
        """
        ...

    def action(self, group: str, control: Mapping[str, Any], time_us: int, tx_id: str) -> None:
        """The ledger ordered ``control`` under the id ``group``, and the plant carries it out; negative: a release."""
        ...

    def merge(self, what: str, merge: Merge, time_us: int) -> None:
        """A merge was ``merged``, ``extended`` or ``returned``."""
        ...

    def change(self, change: RecordedChange) -> None:
        """Something changed that is neither action nor merge."""
        ...

    def end(self, summary: Mapping[str, Any] | None) -> None:
        """The run ended; ``summary`` goes into run.json. None: it was interrupted."""
        ...


class NoRecorder:
    """Records nothing."""

    def begin(self, meta: RunMeta) -> None:
        """See :class:`RunRecorder`, here and below."""

    def frame(self, answer: FrameAnswer, state: GridState, *, late_s: float = 0.0, outcome: str = "") -> None: ...

    def action(self, group: str, control: Mapping[str, Any], time_us: int, tx_id: str) -> None: ...

    def merge(self, what: str, merge: Merge, time_us: int) -> None: ...

    def change(self, change: RecordedChange) -> None: ...

    def end(self, summary: Mapping[str, Any] | None) -> None: ...


NO_RECORDER: RunRecorder = NoRecorder()
