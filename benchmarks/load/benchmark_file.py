"""A benchmark file in the form of Caliper's: rounds one after another, each a workload under a rate controller.

Our additions: ``warmup`` (seconds of load that are not measured, for all rounds or for one), ``topologies``, a round's
own ``workers``, and rates in per cent of what the workload reached in its last closed-loop round.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from benchmarks.load.plan import ControllerSpec, LoadSpec, StrictModel
from gridledger.errors import SettingsError

_RATES = ("tps", "startingTps", "finishingTps", "startTps", "step")
"""The controllers' options that may be a percentage."""


class WorkloadName(StrictModel):
    """The name of a round's workload (workloads.py)."""

    module: str


class Workers(StrictModel):
    """The number of Locust workers."""

    type: str = "local"
    number: int = Field(default=2, ge=1, le=64)


class RoundConfig(StrictModel):
    """One round, which lasts for a number of transactions or for a number of seconds."""

    label: str
    description: str = ""
    workload: WorkloadName
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


class BenchmarkConfig(StrictModel):
    """The rounds of a file, and what they have in common."""

    name: str
    description: str = ""
    workers: Workers = Workers()
    warmup: float = Field(default=0.0, ge=0)
    topologies: list[str] = Field(default=["three-shards"])
    rounds: list[RoundConfig] = Field(min_length=1)


class BenchmarkFile(StrictModel):
    """A whole file. Caliper calls its one member ``test``."""

    test: BenchmarkConfig


def load_config(path: Path) -> BenchmarkConfig:
    """Read a benchmark file. Raises :class:`SettingsError`, which names the member that is wrong."""
    try:
        return BenchmarkFile.model_validate(yaml.safe_load(path.read_bytes())).test
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is no YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{path}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def load_spec(config: BenchmarkConfig, item: RoundConfig, saturation: dict[str, float]) -> LoadSpec:
    """The load of a round. ``saturation``: by workload, the transactions per second that percentages refer to."""
    workload = item.workload.module

    def absolute(options: dict[str, Any]) -> dict[str, Any]:
        return {name: rate(value) if name in _RATES else nested(value) for name, value in options.items()}

    def nested(value: Any) -> Any:
        if isinstance(value, list):
            return [nested(each) for each in value]
        if isinstance(value, dict):
            return {**value, "opts": absolute(value["opts"])} if "opts" in value else value
        return value

    def rate(value: Any) -> Any:
        if not (isinstance(value, str) and value.rstrip().endswith("%")):
            return value
        if workload not in saturation:
            raise SettingsError(
                f"round {item.label!r}: {value} of what? Put a closed-loop round of {workload} before it"
            )
        return round(float(value.rstrip(" %")) / 100 * saturation[workload], 1)

    return LoadSpec(
        workload=workload,
        controller=ControllerSpec(type=item.rateControl.type, opts=absolute(item.rateControl.opts)),
        workers=(item.workers or config.workers).number,
        transactions=item.txNumber,
        duration_s=item.txDuration,
        warmup_s=config.warmup if item.warmup is None else item.warmup,
    )
