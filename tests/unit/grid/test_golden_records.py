"""The records of the built-in cases stay byte for byte what they were when these digests were taken.

All single groups, all pairs that share a branch, and the triple of three groups; both profiles; base state. Thevenin
impedances come from LAPACK, whose last bits depend on the processor's type: weighted sums of them count, to 1e-10 of
their size, and every byte of all else.
"""

from __future__ import annotations

from hashlib import sha256

import pytest

from gridledger import jsontext
from gridledger.grid.case import load_case
from gridledger.grid.grouping import grouping_of
from gridledger.grid.planning import RecordPlan, planner_for
from gridledger.grid.records import PROFILES, Profile
from tests.support.solved_grid import base_state

GOLDEN: dict[tuple[str, Profile], tuple[str, float, float]] = {
    ("case30", "published"): ("6c4c0030dc691ada", 8.916529058557149, 24.261014920182202),
    ("case30", "corrected"): ("ab69ca670dcd0cad", 1.5811843923944162, 4.054644442596765),
    ("case57", "published"): ("0f0b40890ae80465", 29.103676228616635, 90.50890138748684),
    ("case57", "corrected"): ("ec1d2de1ff282bb8", 4.754855175209818, 13.019216284885099),
    ("case118", "published"): ("9821fd975127f8f6", 6.121284849082527, 22.51639484897398),
    ("case118", "corrected"): ("505a70f381c50b1e", 1.1125308299917167, 4.26260625332182),
    ("case300", "published"): ("27691c320d946e82", 197.14393227116847, 1170.5115623533438),
    ("case300", "corrected"): ("bef4f395ab080fb9", 27.376834728603843, 131.74328712547515),
}


def digest(name: str, profile: Profile) -> tuple[str, float, float]:
    """Of the records of one case and profile: 16 digits without impedances, and weighted sums of R and X, p.u.

    The weights differ from one impedance to the next, so that two that change places change the sums.
    """
    case, state = load_case(name), base_state(name)
    planner = planner_for(case, grouping_of(case), profile, state)
    records = sha256()
    impedances: list[tuple[float, float]] = []
    for group in RecordPlan(planner).initial():
        record = planner.record(group, state)
        impedances += [(float(row.pop("R")), float(row.pop("X"))) for row in record.get("Zth", ())]
        records.update(jsontext.dumps(record) + b"\n")
    resistances, reactances = (
        sum((1.0 + n % 97 / 97) * z for n, z in enumerate(part)) for part in zip(*impedances, strict=True)
    )
    return records.hexdigest()[:16], resistances, reactances


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", ["case30", "case57", "case118", "case300"])
def test_the_records_of_built_in_cases_stay_the_same(name: str, profile: Profile) -> None:
    records, resistances, reactances = digest(name, profile)
    golden, golden_resistances, golden_reactances = GOLDEN[name, profile]
    assert records == golden
    assert resistances == pytest.approx(golden_resistances, rel=1e-10)
    assert reactances == pytest.approx(golden_reactances, rel=1e-10)
