"""All rules, and what is found when they are applied to the rows of a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gridledger.errors import InputError
from services.case.rows import Row
from services.case.rules import anchors, commands, devices, metering, sessions
from services.case.rules.finding import Finding, Rule, told_us
from services.case.rules.metering import Feeders, theft_rule

RULES: Final = (*sessions.RULES, *commands.RULES, *devices.RULES, *metering.RULES, *anchors.RULES)
"""Those that need nothing but rows."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What the rules found, by time. ``used``: the values that each rule went by. ``rows``: how many were looked at.
    ``not_applied``: rules for which something was missing, and what."""

    findings: tuple[Finding, ...]
    used: Mapping[str, Mapping[str, float]]
    rows: int
    not_applied: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "findings": [each.to_dict() for each in self.findings],
            "parameters": {name: dict(values) for name, values in self.used.items()},
            "rows": self.rows,
            "not_applied": dict(self.not_applied),
        }


def examine(
    rows: Iterable[Row],
    *,
    feeders: Feeders | None = None,
    more: Sequence[Rule] = (),
    parameters: Mapping[str, Mapping[str, float]] | None = None,
    faster: float = 1.0,
    narrowed: bool = False,
) -> Examined:
    """Apply all rules, ``more`` beside them: the rule about GPS spoofing needs phasors, which rows do not have.

    ``parameters``: values by rule that replace the defaults; :class:`InputError` names one that there is not.
    ``faster``: how much faster than time a replay went; spans that scale are as much shorter. ``narrowed``: the rows
    are of some devices or kinds alone, so rules that compare with the rest are left out.
    """
    ordered = sorted(rows, key=lambda row: (told_us(row), row.channel, row.block, row.position, row.item))
    rules = [*RULES, *more]
    missing = {}
    if feeders:
        rules.append(theft_rule(feeders))
    else:
        missing["energy-missing"] = "no feeders with their meters were given"
    if not any(rule.name == "gps-spoofing" for rule in rules):
        missing["gps-spoofing"] = "no phasors with their grid were given"
    if narrowed:
        missing.update(
            {rule.name: "the rows are some devices' or some kinds' alone" for rule in rules if rule.needs_all}
        )
        rules = [rule for rule in rules if not rule.needs_all]
    if not any(row.kind in ("attested", "concluded") for row in ordered):
        missing["anchors-silent"] = "no rows of the channel with the anchors were given"
    used = _values(rules, parameters or {}, faster)
    found = [each for rule in rules for each in rule.find(ordered, used[rule.name])]
    found.sort(key=lambda each: (each.from_us, each.rule, each.text))
    return Examined(tuple(found), used, len(ordered), missing)


def _values(
    rules: Sequence[Rule], given: Mapping[str, Mapping[str, float]], faster: float
) -> dict[str, dict[str, float]]:
    known = {rule.name: {each.name for each in rule.parameters} for rule in rules}
    for name, values in given.items():
        if name not in known:
            raise InputError(f"there is no rule {name!r:.40}; there are {', '.join(sorted(known))}")
        if wrong := sorted(set(values) - known[name]):
            raise InputError(f"the rule {name} has no parameter {wrong[0]!r:.40}")
    return {rule.name: rule.values(given.get(rule.name, {}), faster) for rule in rules}
