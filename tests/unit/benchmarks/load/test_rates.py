"""Laws of the rate controllers, on a virtual clock."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.load.plan import ControllerSpec
from benchmarks.load.rates import Controller, LoadProgress, MaximumRate, Share, build_controller, recorder
from benchmarks.load.traces import encode
from gridledger.errors import SettingsError

POLL_S = 0.01
FEW = settings(max_examples=25, deadline=None)


def made(kind: str, share: Share | None = None, **opts: Any) -> Controller:
    return build_controller(ControllerSpec(type=kind, opts=opts), share or Share())


def played(
    controller: Controller,
    until_s: float,
    service: Callable[[float, LoadProgress], float | None] = lambda at, _: at,
    most: int = 3000,
) -> tuple[list[float], int]:
    """Intended times up to ``until_s``, and the most that was ever under way, if each transaction ends when ``service``
    says (None: never)."""
    progress, now, peak = LoadProgress(), 0.0, 0
    times: list[float] = []
    ends: list[float] = []
    while len(times) < most and now < until_s:
        while ends and ends[0] <= now:
            heapq.heappop(ends)
            progress.finished += 1
            progress.succeeded += 1
        at = controller.next(now, progress)
        if at is None:
            now += POLL_S
            continue
        if at >= until_s:
            break
        now = max(now, at)
        times.append(at)
        progress.sent += 1
        peak = max(peak, progress.unfinished)
        if (end := service(now, progress)) is not None:
            heapq.heappush(ends, end)
    return times, peak


def merged(count: int, until_s: float, kind: str, **opts: Any) -> list[float]:
    """What all workers send."""
    shares = [Share(index, count, duration_s=until_s) for index in range(count)]
    return sorted(at for share in shares for at in played(made(kind, share, **opts), until_s)[0])


@FEW
@given(tps=st.floats(1, 400), count=st.integers(1, 7))
def test_fixed_rate_of_all_workers_is_one_even_schedule(tps: float, count: int) -> None:
    times = merged(count, 2.0, "fixed-rate", tps=tps)
    # Not 2.0 * tps of them: for a rate a trifle above a whole number, the last tick is a trifle before the end.
    assert times == pytest.approx([number / tps for number in range(math.ceil(2.0 * tps) + 1) if number / tps < 2.0])


@FEW
@given(begin=st.floats(0, 500), end=st.floats(0, 500), count=st.integers(1, 4), at=st.floats(0.1, 2.0))
def test_linear_rate_has_sent_the_integral_of_its_rate(begin: float, end: float, count: int, at: float) -> None:
    if begin + end < 1:
        return
    times = merged(count, 2.0, "linear-rate", startingTps=begin, finishingTps=end)
    sent = sum(time < at for time in times)
    integral = begin * at + (end - begin) / 2.0 * at * at / 2
    assert abs(sent - integral) <= 1.001


def test_linear_rate_over_transactions_ends_at_its_finishing_rate() -> None:
    share = Share(transactions=300)
    times, _ = played(made("linear-rate", share, startingTps=50, finishingTps=150), 100)
    assert len(times) == pytest.approx(300, abs=1)
    assert times[-1] == pytest.approx(3.0, abs=0.02)
    assert 1 / (times[-1] - times[-2]) == pytest.approx(150, rel=0.02)


@FEW
@given(load=st.integers(1, 60), count=st.integers(1, 5), lasts=st.floats(0.001, 0.4))
def test_fixed_load_never_exceeds_its_target_and_keeps_it(load: int, count: int, lasts: float) -> None:
    peaks = []
    for index in range(count):
        controller = made("fixed-load", Share(index, count, duration_s=1.0), transactionLoad=load)
        peaks.append(played(controller, 1.0, lambda at, _: at + lasts, most=500)[1])
    assert sum(peaks) == load


@FEW
@given(tps=st.integers(1, 2000), load=st.integers(1, 50))
def test_fixed_feedback_rate_stops_at_its_load_when_nothing_ends(tps: int, load: int) -> None:
    controller = made("fixed-feedback-rate", tps=tps, transactionLoad=load)
    times, peak = played(controller, 5.0, lambda _at, _progress: None)
    assert peak <= load
    assert len(times) == min(load, 5 * tps)


def test_fixed_feedback_rate_does_not_make_up_for_its_pause() -> None:
    controller = made("fixed-feedback-rate", tps=100, transactionLoad=10, sleepTime=100)
    times, _ = played(controller, 1.0, lambda at, _: at + 0.15)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) >= 0.1
    assert min(gaps) == pytest.approx(0.01)


@FEW
@given(most=st.floats(40, 400), count=st.integers(1, 3))
def test_maximum_rate_finds_what_the_system_takes(most: float, count: int) -> None:
    def service(at: float, _: LoadProgress) -> float:
        free[0] = max(free[0], at) + count / most
        return free[0]

    free = [0.0]
    controller = made("maximum-rate", Share(0, count), tps=10 * count, step=10 * count, sampleInterval=1)
    played(controller, 80.0, service, most=10**6)
    assert isinstance(controller, MaximumRate)
    assert controller.rate * count == pytest.approx(most, abs=35 * count)


@FEW
@given(first=st.floats(0.1, 3), second=st.floats(0.1, 3))
def test_composite_shares_the_seconds_by_weight(first: float, second: float) -> None:
    parts = [{"type": "fixed-rate", "opts": {"tps": 100}}, {"type": "fixed-rate", "opts": {"tps": 300}}]
    share = Share(duration_s=4.0)
    times, _ = played(made("composite-rate", share, weights=[first, second], rateControllers=parts), 4.0)
    border = 4.0 * first / (first + second)
    assert sum(time < border for time in times) == pytest.approx(100 * border, abs=1)
    assert sum(time >= border for time in times) == pytest.approx(300 * (4.0 - border), abs=1)
    assert times == sorted(times)


@FEW
@given(weights=st.lists(st.integers(0, 5), min_size=1, max_size=5), count=st.integers(1, 3))
def test_composite_shares_the_transactions_by_weight(weights: list[int], count: int) -> None:
    if not any(weights):
        return
    parts = [{"type": "fixed-rate", "opts": {"tps": 100.0 * (place + 1)}} for place in range(len(weights))]
    total = 600
    share = Share(0, count, transactions=total)
    controller = made("composite-rate", share, weights=weights, rateControllers=parts)
    times, _ = played(controller, 1e6, most=share.of(total))
    pairs = itertools.pairwise(times)
    gaps = [round(count / (later - earlier) / 100) for earlier, later in pairs if later > earlier]
    for place, weight in enumerate(weights):
        expected = share.of(total) * weight / sum(weights)
        assert abs(gaps.count(place + 1) - expected) <= 2


def test_composite_with_a_pause_in_it() -> None:
    busy = {"type": "fixed-rate", "opts": {"tps": 50}}
    parts = [busy, {"type": "zero-rate"}, busy]
    times, _ = played(made("composite-rate", Share(duration_s=3), weights=[1, 1, 1], rateControllers=parts), 3.0)
    assert len(times) == 100
    assert not [time for time in times if 1.0 <= time < 2.0]


@FEW
@given(tps=st.integers(1, 300), form=st.sampled_from(("TEXT", "BIN_BE", "BIN_LE")))
def test_a_replay_is_what_was_recorded(tps: int, form: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    template = str(tmp_path_factory.mktemp("trace") / "trace-<C>")
    opts = {"pathTemplate": template, "rateController": {"type": "linear-rate", "opts": {}}, "outputFormat": form}
    opts["rateController"]["opts"] = {"startingTps": tps, "finishingTps": 2 * tps}
    recording = made("record-rate", Share(duration_s=1.0), **opts)
    times, _ = played(recording, 1.0)
    kept = recorder(recording)
    assert kept is not None
    kept.path.write_bytes(encode(times, form))
    replayed, _ = played(made("replay-rate", pathTemplate=template, inputFormat=form), 10.0, most=len(times))
    assert replayed == pytest.approx(times, abs=0.0005)


def test_a_replay_goes_on_evenly_after_the_trace(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("0\n5\n")
    controller = made("replay-rate", pathTemplate=str(tmp_path / "trace"), defaultSleepTime=50)
    assert played(controller, 0.2)[0] == pytest.approx([0, 0.005, 0.055, 0.105, 0.155])


@pytest.mark.parametrize(
    ("kind", "opts", "said"),
    [
        ("no-such-rate", {}, "fixed-rate, fixed-load"),
        ("fixed-rate", {"tps": 0}, "fixed-rate: tps"),
        ("fixed-rate", {"tps": 5, "rate": 1}, "fixed-rate: rate"),
        ("linear-rate", {"startingTps": 0, "finishingTps": 0}, "cannot both be 0"),
        ("linear-rate", {"startingTps": 1, "finishingTps": 2}, "bounded"),
        ("composite-rate", {"weights": [1, 2], "rateControllers": [{"type": "zero-rate"}]}, "as many weights"),
        ("replay-rate", {"pathTemplate": "/no/such/file"}, "cannot read the trace"),
    ],
)
def test_what_is_wrong_is_said(kind: str, opts: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        made(kind, **opts)


def test_workers_do_not_share_a_trace() -> None:
    with pytest.raises(SettingsError, match="<C>"):
        made("record-rate", Share(0, 2), pathTemplate="one", rateController={"type": "zero-rate"})
