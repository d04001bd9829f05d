"""What the rules found, held against a story's truth: what was found, what was not, and who else was accused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.case.replay.story import Planted, Truth
from services.case.rules.finding import Finding


@dataclass(frozen=True, slots=True)
class Judged:
    """``found``: each planted thing with its findings. ``missing``: those without any. ``accused``: findings that are
    about nothing that was planted. ``openings_in_order``: whether all openings were found, in their order."""

    found: tuple[tuple[Planted, tuple[Finding, ...]], ...]
    missing: tuple[Planted, ...]
    accused: tuple[Finding, ...]
    openings_in_order: bool

    @property
    def is_right(self) -> bool:
        """Whether everything was found and nobody else accused."""
        return not self.missing and not self.accused and self.openings_in_order


def judge(truth: Truth, findings: Sequence[Finding]) -> Judged:
    """Hold ``findings`` against ``truth``."""
    found, missing, right = [], [], set()
    for planted in truth.planted:
        own = [place for place, each in enumerate(findings) if _is_of(planted, each)]
        right.update(own)
        if own:
            found.append((planted, tuple(findings[place] for place in own)))
        else:
            missing.append(planted)
    rest = [each for place, each in enumerate(findings) if place not in right]
    openings = [each.details.get("devices") for each in findings if each.rule == "many-openings"]
    return Judged(
        found=tuple(found),
        missing=tuple(missing),
        accused=tuple(each for each in rest if not _concerns(truth, each)),
        openings_in_order=openings == [list(truth.openings)],
    )


def _is_of(planted: Planted, found: Finding) -> bool:
    return found.rule == planted.rule and planted.subject.items() <= found.subject.items()


def _concerns(truth: Truth, found: Finding) -> bool:
    """Whether a finding names one of the attack's sessions: an owner's is suspicious beside the thief's."""
    sessions = {found.subject.get("session"), *found.details.get("sessions", [])}
    return bool(sessions & truth.sessions)
