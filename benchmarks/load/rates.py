"""Rate controllers, which decide when to send, under the names and with the options of Hyperledger Caliper.

Each worker has a controller of its own: of N workers each sends every N-th transaction of the common schedule.
``next(now, progress)`` returns the intended time of the worker's next transaction, or None if none may be sent now;
then it is to be asked again when a transaction has ended or a moment has passed. ``now`` is in seconds since the load's
begin, ``progress`` counts this worker's transactions. Controllers neither sleep nor read a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from benchmarks.load.plan import CLOSED_LOOP, ControllerSpec, StrictModel
from benchmarks.load.traces import Format, decode, trace_path
from gridledger.errors import SettingsError

MAX_PAUSES = 10
MAX_FRUITLESS = 30
"""Bounds of the factor by which fixed-feedback-rate lengthens its pause: by load, and by pauses without success."""


@dataclass(slots=True)
class LoadProgress:
    """A worker's transactions so far: sent, finished in whatever way, and succeeded (VALID or answered)."""

    sent: int = 0
    finished: int = 0
    succeeded: int = 0

    @property
    def unfinished(self) -> int:
        """Transactions under way."""
        return self.sent - self.finished


@dataclass(frozen=True, slots=True)
class Share:
    """Worker ``index`` of ``count``, and the load's bound: seconds, or transactions of all workers together."""

    index: int = 0
    count: int = 1
    duration_s: float | None = None
    transactions: int | None = None

    def of(self, total: int) -> int:
        """This worker's part of a total."""
        return total // self.count + (self.index < total % self.count)

    def place(self, number: int) -> int:
        """The place of this worker's ``number``-th transaction in the common schedule."""
        return number * self.count + self.index


class Controller(Protocol):
    """Decides when one worker sends."""

    def next(self, now: float, progress: LoadProgress) -> float | None:
        """The intended time of the next transaction, infinity if there is none, None if none may be sent now."""


class FixedRate:
    """``fixed-rate``: one transaction every 1/tps seconds."""

    class Options(StrictModel):
        """``tps``: transactions per second of all workers."""

        tps: float = Field(gt=0)

    def __init__(self, options: Options, share: Share) -> None:
        self._tps, self._share, self._number = options.tps, share, 0

    def next(self, now: float, progress: LoadProgress) -> float:
        """The next tick, even if it has passed."""
        at = self._share.place(self._number) / self._tps
        self._number += 1
        return at


class LinearRate:
    """``linear-rate``: from ``startingTps`` at the load's begin to ``finishingTps`` at its end."""

    class Options(StrictModel):
        """Transactions per second of all workers; one of the two may be 0."""

        startingTps: float = Field(ge=0)
        finishingTps: float = Field(ge=0)

        @model_validator(mode="after")
        def _some(self) -> LinearRate.Options:
            if self.startingTps + self.finishingTps <= 0:
                raise ValueError("startingTps and finishingTps cannot both be 0")
            return self

    def __init__(self, options: Options, share: Share) -> None:
        begin, end = options.startingTps, options.finishingTps
        lasts = share.duration_s or 2 * (share.transactions or 0) / (begin + end)
        if lasts <= 0:
            raise SettingsError("linear-rate needs a load that is bounded by seconds or transactions")
        self._begin, self._slope, self._lasts = begin, (end - begin) / lasts, lasts
        self._share, self._number = share, 0

    def next(self, now: float, progress: LoadProgress) -> float:
        """The time when the integral of the rate, begin * t + slope / 2 * t * t, reaches the transaction's place."""
        place = self._share.place(self._number)
        self._number += 1
        root = self._begin**2 + 2 * self._slope * place
        if root < 0 or place == 0:
            return 0.0 if place == 0 else math.inf
        at = 2 * place / (self._begin + math.sqrt(root))
        return at if at <= self._lasts * (1 + 1e-9) else math.inf


class FixedLoad:
    """``fixed-load``: a fixed number of transactions under way; a new one is sent for each that ends."""

    class Options(StrictModel):
        """``transactionLoad``: of all workers; ``startTps``: the rate until one has ended (default: all at once)."""

        transactionLoad: int = Field(ge=1)
        startTps: float | None = Field(None, gt=0)

    def __init__(self, options: Options, share: Share) -> None:
        self._load, self._share = share.of(options.transactionLoad), share
        self._start = FixedRate(FixedRate.Options(tps=options.startTps), share) if options.startTps else None

    def next(self, now: float, progress: LoadProgress) -> float | None:
        """Now, if fewer are under way."""
        if progress.unfinished >= self._load:
            return None
        if self._start is not None and not progress.finished:
            return self._start.next(now, progress)
        return now


class FixedFeedbackRate:
    """``fixed-feedback-rate``: fixed-rate that pauses while ``transactionLoad`` transactions or more are under way. A
    pause is longer the more they are and the longer none has succeeded; it delays the rest of the schedule."""

    class Options(StrictModel):
        """``tps``, ``transactionLoad``: of all workers; ``sleepTime``: milliseconds of the shortest pause."""

        tps: float = Field(gt=0)
        transactionLoad: int = Field(7000, ge=1)
        sleepTime: float = Field(100.0, gt=0)

    def __init__(self, options: Options, share: Share) -> None:
        self._ticks = FixedRate(FixedRate.Options(tps=options.tps), share)
        self._load, self._pause_s = max(1, share.of(options.transactionLoad)), options.sleepTime / 1000
        self._moved_s = self._asleep_until = 0.0
        self._fruitless, self._succeeded = 0, -1

    def next(self, now: float, progress: LoadProgress) -> float | None:
        """The next tick, None during a pause."""
        if now < self._asleep_until:
            return None
        if progress.unfinished < self._load:
            return self._moved_s + self._ticks.next(now, progress)
        self._fruitless = 0 if progress.succeeded > self._succeeded else min(self._fruitless + 1, MAX_FRUITLESS)
        self._succeeded = progress.succeeded
        times = max(1, min(MAX_PAUSES, progress.unfinished // self._load), self._fruitless)
        self._asleep_until = now + times * self._pause_s
        self._moved_s += times * self._pause_s
        return None


class MaximumRate:
    """``maximum-rate``: raises the rate by a step after each sample in which throughput kept up; when throughput falls
    short by more than half a step, lowers the rate by a step and halves the step."""

    class Options(StrictModel):
        """``tps``: the first rate; ``step``: of all workers; ``sampleInterval``: seconds; ``includeFailed``: whether
        failed transactions count as throughput."""

        tps: float = Field(5.0, gt=0)
        step: float = Field(5.0, gt=0)
        sampleInterval: float = Field(10.0, gt=0)
        includeFailed: bool = False

    def __init__(self, options: Options, share: Share) -> None:
        self.rate, self._step = options.tps / share.count, options.step / share.count
        self._least = min(self.rate, self._step)
        self._interval_s, self._include_failed = options.sampleInterval, options.includeFailed
        self._at = share.index / options.tps
        self._sampled_at, self._counted = 0.0, 0

    def next(self, now: float, progress: LoadProgress) -> float:
        """One transaction every 1/rate seconds at the present rate."""
        if now - self._sampled_at >= self._interval_s:
            self._sample(now, progress.finished if self._include_failed else progress.succeeded)
        at = self._at
        self._at += 1 / self.rate
        return at

    def _sample(self, now: float, counted: int) -> None:
        throughput = (counted - self._counted) / (now - self._sampled_at)
        if throughput >= self.rate - self._step / 2:
            self.rate += self._step
        else:
            self.rate = max(self._least, self.rate - self._step)
            self._step = max(self._step / 2, self._least / 32)
        self._sampled_at, self._counted = now, counted
        # Drop what could not be sent in time; catching up would keep the rate too high.
        self._at = max(self._at, now)


class ZeroRate:
    """``zero-rate``: sends nothing; a pause in a composite."""

    class Options(StrictModel):
        """None."""

    def __init__(self, options: Options, share: Share) -> None:
        pass

    def next(self, now: float, progress: LoadProgress) -> None:
        """Never."""


class CompositeRate:
    """``composite-rate``: controllers one after another, each for a part of the seconds or transactions."""

    class Options(StrictModel):
        """``weights``: the parts of the ``rateControllers``, one for each; 0 leaves a controller out."""

        weights: list[float] = Field(min_length=1)
        rateControllers: list[ControllerSpec] = Field(min_length=1)
        logChange: bool = False

        @model_validator(mode="after")
        def _fit(self) -> CompositeRate.Options:
            if len(self.weights) != len(self.rateControllers):
                raise ValueError("there must be as many weights as rateControllers")
            if min(self.weights) < 0 or sum(self.weights) <= 0:
                raise ValueError("weights must not be negative, and not all 0")
            return self

    def __init__(self, options: Options, share: Share) -> None:
        parts = [(w, c) for w, c in zip(options.weights, options.rateControllers, strict=True) if w > 0]
        total, before = sum(w for w, _ in parts), 0.0
        self._parts: list[tuple[float, int | None, Controller]] = []
        for weight, spec in parts:
            begin, before = before / total, before + weight
            end = before / total
            until_s = share.duration_s * end if share.duration_s is not None else math.inf
            own = None if share.transactions is None else int(share.of(share.transactions) * end + 1e-9)
            part = Share(
                share.index,
                share.count,
                None if share.duration_s is None else share.duration_s * (end - begin),
                None if share.transactions is None else max(1, round(share.transactions * (end - begin))),
            )
            self._parts.append((until_s, own, build_controller(spec, part)))
        self._active, self._began, self._given, self._base = 0, 0.0, 0, LoadProgress()

    def next(self, now: float, progress: LoadProgress) -> float | None:
        """What the active controller decides; its clock and its progress begin with its turn."""
        while True:
            until_s, own, controller = self._parts[self._active]
            last = self._active == len(self._parts) - 1
            if not last and (now >= until_s or (own is not None and self._given >= own)):
                self._switch(now if own is not None else until_s, progress)
                continue
            mine = LoadProgress(
                progress.sent - self._base.sent,
                max(0, progress.finished - self._base.finished),
                max(0, progress.succeeded - self._base.succeeded),
            )
            at = controller.next(now - self._began, mine)
            if at is None:
                return None
            at += self._began
            if not last and at >= until_s:
                self._switch(until_s, progress)
                continue
            self._given += 1
            return at

    def _switch(self, at: float, progress: LoadProgress) -> None:
        self._active, self._began = self._active + 1, at
        # The new controller counts only what it sends itself, not what is still under way.
        self._base = LoadProgress(progress.sent, progress.sent, progress.succeeded + progress.unfinished)


class RecordRate:
    """``record-rate``: another controller whose intended times are recorded for replay-rate."""

    class Options(StrictModel):
        """``pathTemplate``: the trace file (<C>: the worker's index); ``outputFormat``: TEXT, BIN_BE or BIN_LE."""

        rateController: ControllerSpec
        pathTemplate: str
        outputFormat: Format = "TEXT"

    def __init__(self, options: Options, share: Share) -> None:
        self._recorded = build_controller(options.rateController, share)
        self.times_s: list[float] = []
        self.path, self.format = trace_path(options.pathTemplate, share.index, share.count), options.outputFormat

    def next(self, now: float, progress: LoadProgress) -> float | None:
        """What the recorded controller decides."""
        at = self._recorded.next(now, progress)
        if at is not None and at < math.inf:
            self.times_s.append(at)
        return at


class ReplayRate:
    """``replay-rate``: the times of a trace, and after its end one transaction every ``defaultSleepTime`` ms."""

    class Options(StrictModel):
        """``pathTemplate`` and ``inputFormat`` as for record-rate."""

        pathTemplate: str
        inputFormat: Format = "TEXT"
        defaultSleepTime: float = Field(20.0, gt=0)

    def __init__(self, options: Options, share: Share, read: Callable[[Path], bytes] = Path.read_bytes) -> None:
        path = trace_path(options.pathTemplate, share.index, share.count)
        try:
            self._times: Sequence[float] = decode(read(path), options.inputFormat)
        except OSError as error:
            raise SettingsError(f"cannot read the trace {path}: {error.strerror}") from None
        self._pause_s, self._number = options.defaultSleepTime / 1000, 0

    def next(self, now: float, progress: LoadProgress) -> float:
        """The next time of the trace."""
        number, known = self._number, len(self._times)
        self._number += 1
        if number < known:
            return self._times[number]
        return (self._times[-1] if known else 0.0) + (number - known + 1) * self._pause_s


_KINDS: dict[str, Any] = {
    "fixed-rate": FixedRate,
    "fixed-load": FixedLoad,
    "fixed-feedback-rate": FixedFeedbackRate,
    "linear-rate": LinearRate,
    "maximum-rate": MaximumRate,
    "composite-rate": CompositeRate,
    "zero-rate": ZeroRate,
    "record-rate": RecordRate,
    "replay-rate": ReplayRate,
}
_Model = TypeVar("_Model", bound=BaseModel)


class ClosedLoop(StrictModel):
    """Options of ``closed-loop``: the users, each of whom waits for its answer before it sends again."""

    users: int = Field(ge=1, le=100_000)


def build_controller(spec: ControllerSpec, share: Share) -> Controller:
    """Build one worker's controller. Raises :class:`SettingsError` if the specification is wrong."""
    if spec.type not in _KINDS:
        raise SettingsError(f"there is no rate controller {spec.type!r}; there are {', '.join([*_KINDS, CLOSED_LOOP])}")
    kind = _KINDS[spec.type]
    made: Controller = kind(validated_options(kind.Options, spec), share)
    return made


def validated_options(model: type[_Model], spec: ControllerSpec) -> _Model:
    """Validate a specification's options. Raises :class:`SettingsError` if they are wrong."""
    try:
        return model.model_validate(spec.opts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{spec.type}: {where + ': ' if where else ''}{first['msg']}") from None


def recorder(controller: Controller) -> RecordRate | None:
    """The controller itself if it records a trace, else None."""
    return controller if isinstance(controller, RecordRate) else None
