"""Proofs of many events: whoever judges them, in this process or in several, says the same."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final

import pytest

from gridledger.evidence import schnorr
from gridledger.evidence.claims import Claim, here, holds
from services.case import judging
from services.case.judging import processors, side_by_side

SECRET: Final = 8235
KEY: Final = schnorr.public_of(SECRET).hex()


def claim(number: int) -> Claim:
    text = f'{{"seq":{number}}}'
    return Claim(KEY, "pmu-7", text, schnorr.prove(SECRET, "pmu-7", text, randbytes=bytes).text)


RIGHT: Final = [claim(number) for number in range(6)]
CLAIMS: Final = [
    *RIGHT[:2],
    RIGHT[2]._replace(user="pmu-8"),
    RIGHT[3]._replace(proof="no proof"),
    RIGHT[4],
    RIGHT[5]._replace(key="04"),
    RIGHT[5]._replace(text=RIGHT[4].text),
]
SAID: Final = [True, True, False, False, True, False, False]


def test_each_claim_is_judged_by_itself() -> None:
    assert here(CLAIMS) == SAID == [holds(each) for each in CLAIMS]
    assert here([]) == []


def test_processes_side_by_side_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "FEW", 2)
    monkeypatch.setattr(judging, "_A_TASK", 3)
    assert list(side_by_side(2)(CLAIMS)) == SAID


@pytest.mark.parametrize("error", [OSError(), BrokenProcessPool()])
def test_where_no_process_starts_this_one_judges(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(judging, "FEW", 2)
    monkeypatch.setattr(judging, "ProcessPoolExecutor", refuse)
    assert list(side_by_side(2)(CLAIMS)) == SAID


def test_few_claims_and_one_processor_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "ProcessPoolExecutor", None)
    assert list(side_by_side(2)(CLAIMS)) == SAID
    monkeypatch.setattr(judging, "FEW", 2)
    assert list(side_by_side(1)(CLAIMS)) == SAID
    assert 1 <= processors() <= 32
