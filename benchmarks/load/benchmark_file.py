"""A benchmark file as Caliper's users know it: rounds one after another, each a workload under a rate controller.

What is ours: ``warmup`` (seconds of load that are not measured, for all rounds or for one), ``topologies``, a round's
own ``workers``, and rates in per cent of what the workload reached in its last closed-loop round.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmarks.load.plan import ControllerSpec, LoadSpec
from gridledger.errors import SettingsError

_RATES = ("tps", "startingTps", "finishingTps", "startTps", "step")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorkloadRef(_Part):
    """Which workload: its name (benchmarks/load/workloads.py)."""

    module: str


class Workers(_Part):
    """How many Locust workers send."""

    type: str = "local"
    number: int = Field(default=2, ge=1, le=64)


class RoundConfig(_Part):
    """One round: so many transactions, or so many seconds."""

    label: str
    description: str = ""
    workload: WorkloadRef
    txNumber: int | None = Field(default=None, ge=1)
    txDuration: float | None = Field(default=None, gt=0)
    warmup: float | None = Field(default=None, ge=0)
    workers: Workers | None = None
    rateControl: ControllerSpec

    @model_validator(mode="after")
    def _one_bound(self) -> RoundConfig:
        if (self.txNumber is None) == (self.txDuration is None):
            raise ValueError("a round has either txNumber or txDuration")
        return self


class TestConfig(_Part):
    """All rounds, and what they have in common."""

    name: str
    description: str = ""
    workers: Workers = Workers()
    warmup: float = Field(default=0.0, ge=0)
    topologies: list[str] = ["three-shards"]
    rounds: list[RoundConfig] = Field(min_length=1)


class BenchConfig(_Part):
    """A benchmark file."""

    test: TestConfig


def load_config(path: Path) -> TestConfig:
    """Read a benchmark file; :class:`SettingsError` says what is wrong with it, and where."""
    try:
        return BenchConfig.model_validate(yaml.safe_load(path.read_bytes())).test
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is no YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{path}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def spec_of(test: TestConfig, item: RoundConfig, saturation: dict[str, float]) -> LoadSpec:
    """A round as a load. ``saturation``: transactions per second by workload, what rates in per cent refer to."""
    workload = item.workload.module
    controller = item.rateControl

    def absolute(opts: dict[str, Any]) -> dict[str, Any]:
        return {name: _rate(value, item) if name in _RATES else _nested(value) for name, value in opts.items()}

    def _nested(value: Any) -> Any:
        if isinstance(value, list):
            return [_nested(each) for each in value]
        if isinstance(value, dict):
            return {**value, "opts": absolute(value["opts"])} if "opts" in value else value
        return value

    def _rate(value: Any, item: RoundConfig) -> Any:
        if not (isinstance(value, str) and value.rstrip().endswith("%")):
            return value
        if workload not in saturation:
            raise SettingsError(f"round {item.label!r}: {value} of what? no closed-loop round of {workload} before it")
        return round(float(value.rstrip(" %")) / 100 * saturation[workload], 1)

    return LoadSpec(
        workload=workload,
        controller=ControllerSpec(type=controller.type, opts=absolute(controller.opts)),
        workers=(item.workers or test.workers).number,
        transactions=item.txNumber,
        duration_s=item.txDuration,
        warmup_s=test.warmup if item.warmup is None else item.warmup,
    )
