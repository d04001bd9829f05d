"""Records without ``release``, ``check`` and ``deadband_mw``: every answer, key and event is to the byte what it was.

``data/golden-PROFILE.txt`` holds the digests that the contract gave before it knew these members. They are written anew
only where a rule of the specification itself changes: ``python -m tests.unit.chaincode.dvs.test_golden``.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from gridledger.grid.records import PROFILES, Profile
from tests.support.dvs_script import Script

DATA = Path(__file__).parent / "data"
STEPS = 1200
SEED = 15


def golden(profile: Profile) -> Path:
    """The file of a profile's digests."""
    return DATA / f"golden-{profile}.txt"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_long_script_does_what_it_did_to_the_byte(profile: Profile) -> None:
    expected = golden(profile).read_text().splitlines()
    for number, (now, before) in enumerate(zip(Script(profile, SEED).run(STEPS), expected, strict=True), 1):
        assert now == before, f"call {number}"


@pytest.mark.parametrize("profile", PROFILES)
def test_the_script_comes_by_every_function_and_outcome(profile: Profile) -> None:
    told = Counter(line.rpartition(" ")[0] for line in golden(profile).read_text().splitlines())
    functions = Counter[str]()
    for name, count in told.items():
        functions[name.split()[0]] += count
    assert len(functions) == 13
    outcomes = ["normal", "injected", "voltage_ok", "pending", "lent", "escalate", "400"]
    outcomes += ["stale"] if profile == "corrected" else []
    for outcome in outcomes:
        assert told[f"ComputeVSI {outcome}"] >= 5, outcome
    for status in ("gathering", "open"):
        assert told[f"Adopt {status}"] >= 5
    assert told["Close closed"] >= 5
    assert told["Split returning"] >= 5


if __name__ == "__main__":
    for name in PROFILES:
        golden(name).write_text("\n".join(Script(name, SEED).run(STEPS)) + "\n")
