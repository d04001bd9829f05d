"""The records of the built-in cases stay byte for byte what they were when these digests were taken.

All single groups, all pairs that share a branch, and the triple of three groups; both profiles; base state. Thevenin
impedances come from LAPACK, whose last bits depend on the processor: 8 digits of them count, every byte of all else.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.grid.case import load_case
from gridledger.grid.grouping import grouping_of
from gridledger.grid.planning import RecordPlan, planner_for
from gridledger.grid.records import PROFILES, Profile
from tests.support.solved_grid import base_state

GOLDEN: dict[tuple[str, Profile], tuple[str, str]] = {
    ("case30", "published"): ("6c4c0030dc691ada", "d76ab9fcceb4169c"),
    ("case30", "corrected"): ("ab69ca670dcd0cad", "8447fa29c7a9061b"),
    ("case57", "published"): ("0f0b40890ae80465", "a3fc8d3de2bc1708"),
    ("case57", "corrected"): ("ec1d2de1ff282bb8", "75ab2962e764feef"),
    ("case118", "published"): ("9821fd975127f8f6", "a74d073be46f487d"),
    ("case118", "corrected"): ("505a70f381c50b1e", "a521599669ae3d82"),
    ("case300", "published"): ("27691c320d946e82", "89a4c5e941a32532"),
    ("case300", "corrected"): ("bef4f395ab080fb9", "3c2a6f72369a2f57"),
}


def digests(name: str, profile: Profile) -> tuple[str, str]:
    """Of the records of one case and profile without impedances, and of the impedances; the first 16 digits."""
    case, state = load_case(name), base_state(name)
    planner = planner_for(case, grouping_of(case), profile, state)
    records, impedances = sha256(), sha256()
    for group in RecordPlan(planner).initial():
        record = planner.record(group, state)
        for row in record.get("Zth", ()):
            impedances.update(f"{row['bus']} {_eight_digits(row.pop('R'))} {_eight_digits(row.pop('X'))}\n".encode())
        records.update(jsontext.dumps(record) + b"\n")
    return records.hexdigest()[:16], impedances.hexdigest()[:16]


def _eight_digits(value: Any) -> str:
    return f"{value:.7e}"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", ["case30", "case57", "case118", "case300"])
def test_the_records_of_built_in_cases_stay_the_same(name: str, profile: Profile) -> None:
    assert digests(name, profile) == GOLDEN[name, profile]
