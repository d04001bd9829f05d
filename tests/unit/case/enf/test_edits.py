"""When a recording was made, and what was cut out of it and put into it: synthesised recordings from fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest

from services.case.enf import synthesis
from services.case.enf.analysis import Analysis
from services.case.enf.edits import chain_of
from services.case.enf.synthesis import Sound
from services.case.enf.track import Piece
from tests.support.enf_recordings import START_S, analysed, day, with_inserted, without

RATE = 700
SOUND = Sound(rate=RATE, snr_db=-10.0, clock_ppm=60.0, speech=0.5)
CLEAR = Sound(rate=RATE, snr_db=0.0)
AT_S = 31_234.4
LENGTH_S = 900.0


def made(nominal_hz: float = 50.0, sound: Sound = SOUND, seconds: float = LENGTH_S, seed: int = 1) -> np.ndarray:
    return synthesis.recorded(day(1, nominal_hz), AT_S, seconds, sound, seed)


def told(analysis: Analysis) -> list[tuple[str, float, float]]:
    return [(edit.kind, edit.at_s, edit.length_s) for edit in analysis.found.edits]


def edit(kind: str, at_s: float, length_s: float) -> tuple[str, object, object]:
    """Found within 3 s."""
    return kind, pytest.approx(at_s, abs=3.0), pytest.approx(length_s, abs=3.0)


@pytest.mark.parametrize("nominal_hz", [50.0, 60.0])
def test_a_recording_has_its_time_and_no_edits(nominal_hz: float) -> None:
    analysis = analysed(made(nominal_hz), day(1, nominal_hz), SOUND, nominal_hz)
    assert analysis.start_s == pytest.approx(START_S + AT_S, abs=1.0)
    assert analysis.confidence > 0.9999
    assert told(analysis) == []
    assert analysis.warnings == ()
    assert analysis.fit is not None
    assert 1e6 * analysis.fit.offset_hz / nominal_hz == pytest.approx(60.0, abs=5.0)


def test_a_cut_is_a_deletion() -> None:
    analysis = analysed(without(made(), 400.0, 17.3, RATE), day(1), SOUND)
    assert analysis.start_s == pytest.approx(START_S + AT_S, abs=1.0)
    assert told(analysis) == [edit("deletion", 400.0, 17.3)]


INSERTED = {
    "of another day": synthesis.recorded(day(2), 5_000.0, 40.0, SOUND, 3),
    "without hum": synthesis.silence(40.0, SOUND, 3),
    "of the same recording": made()[100 * RATE : 140 * RATE],
}


@pytest.mark.parametrize("what", INSERTED)
def test_what_was_put_in_is_an_insertion(what: str) -> None:
    analysis = analysed(with_inserted(made(), 500.0, INSERTED[what], RATE), day(1), SOUND)
    assert analysis.start_s == pytest.approx(START_S + AT_S, abs=1.0)
    assert told(analysis) == [edit("insertion", 500.0, 40.0)]


def test_several_edits_are_told_one_by_one() -> None:
    samples = made(sound=CLEAR, seconds=1_200.0)
    samples = without(samples, 900.0, 30.0, RATE)
    samples = with_inserted(samples, 600.0, synthesis.recorded(day(2), 5_000.0, 40.0, CLEAR, 3), RATE)
    samples = without(samples, 300.0, 17.3, RATE)
    analysis = analysed(samples, day(1), CLEAR)
    expected = [("deletion", 300.0, 17.3), ("insertion", 582.7, 40.0), ("deletion", 922.7, 30.0)]
    assert told(analysis) == [edit(*each) for each in expected]


def test_a_part_of_a_later_hour_is_found_where_it_belongs() -> None:
    samples = np.concatenate((made(sound=CLEAR), synthesis.recorded(day(1), AT_S + 9_000.0, 500.0, CLEAR, 2)))
    assert told(analysed(samples, day(1), CLEAR)) == [edit("deletion", 900.0, 8_100.0)]


def test_what_stands_in_front_has_no_time() -> None:
    samples = np.concatenate((synthesis.recorded(day(2), 5_000.0, 60.0, CLEAR, 3), made(sound=CLEAR)))
    analysis = analysed(samples, day(1), CLEAR)
    assert analysis.start_s == pytest.approx(START_S + AT_S, abs=3.0)
    assert told(analysis) == [edit("insertion", 0.0, 60.0)]


def test_hum_that_is_drowned_for_a_while_is_no_edit() -> None:
    samples = made()
    samples[500 * RATE : 560 * RATE] += np.random.default_rng(1).normal(0.0, 5.0, 60 * RATE)
    analysis = analysed(samples, day(1), SOUND)
    assert told(analysis) == []


def test_a_second_that_the_reference_lacks_is_not_invented() -> None:
    frequency = day(1).copy()
    frequency[31_600:31_660] = np.nan
    analysis = analysed(made(), frequency, SOUND)
    assert analysis.start_s == pytest.approx(START_S + AT_S, abs=1.0)
    assert told(analysis) == []
    assert any("the reference is missing beside" in warning for warning in analysis.warnings)


def test_the_chain_is_the_longest_sequence_in_which_time_grows() -> None:
    before, repeated, behind = Piece(0, 99, 1_000.0), Piece(100, 139, 950.0), Piece(140, 400, 960.0)
    assert chain_of([before, repeated, behind]) == [before, behind]
    later = Piece(100, 139, 5_000.0)
    assert chain_of([before, later, behind]) == [before, behind]


@pytest.mark.deep
@pytest.mark.timeout(3_600)
def test_two_hundred_unedited_recordings_show_no_edit() -> None:
    wrong = []
    for seed in range(200):
        random = np.random.default_rng([seed, 77])
        nominal_hz = (50.0, 60.0)[seed % 2]
        sound = Sound(
            rate=RATE,
            snr_db=float(random.choice([10.0, 0.0, -10.0, -15.0, -20.0])),
            clock_ppm=float(random.uniform(-100.0, 100.0)),
            speech=float(random.choice([0.0, 0.5, 2.0])),
            gain_control=bool(random.integers(2)),
            bits=int(random.choice([8, 16])),
            clip=float(random.choice([0.05, 1.0])),
        )
        frequency = synthesis.grid_frequency(seed, 43_200, nominal_hz)
        at_s = float(random.uniform(0.0, 40_000.0))
        samples = synthesis.recorded(frequency, at_s, float(random.choice([720, 1_200, 1_800])), sound, seed)
        analysis = analysed(samples, frequency, sound, nominal_hz)
        if analysis.start_s is None or abs(analysis.start_s - START_S - at_s) > 1.0 or analysis.found.edits:
            wrong.append((seed, sound, analysis.as_json()))
    assert wrong == []
