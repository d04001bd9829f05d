"""docs/science.md: its numbers are computed, its formulas become MathML, every known mistake is named."""

from __future__ import annotations

import re
from html import escape
from xml.etree import ElementTree

import pytest

from docs.make_math import with_mathml
from gridledger.grid.records import Profile
from services.feeder.results.recorder import NO_RECORDER
from services.feeder.results.run_writer import slack_generation
from services.feeder.scenarios.shipped import THESIS, scenario_for, shipped
from tests.support.processes import REPOSITORY
from tests.support.recorded_run import record_run
from tests.support.solved_grid import base_state, planner, power_flow

PAGE = (REPOSITORY / "docs" / "science.md").read_text(encoding="utf-8")
FORMULAS = re.findall(r"\$\$(.+?)\$\$", PAGE, re.DOTALL) + re.findall(r"(?<!\$)\$([^$\n]+)\$(?!\$)", PAGE)


def test_the_thesis_s_vvc_are_more_than_its_grid_could_use() -> None:
    case, plan = power_flow().case, planner("corrected")
    lists = scenario_for("1a", plan, power_flow(), base_state()).resources(plan)
    amounts = [amount for group in lists.values() for amount in group.values()]
    assert (len(amounts), sum(amounts), sum(amounts) * case.base_mva) == (24, 36.0, 3600.0)
    assert (round(case.pd.sum(), 1), round(case.qd.sum(), 1)) == (189.2, 107.2)
    for text in ("1.5 p.u. at each of 24 load buses is 36.0 p.u.", "3,600 MVAr", "189.2 MW and 107.2 MVAr"):
        assert text in PAGE


@pytest.mark.parametrize("profile", ["published", "corrected"])
async def test_what_stands_and_what_the_slack_gives(profile: Profile) -> None:
    lowest = 0.0
    for name in THESIS:
        if profile not in shipped(name).form.profile:
            continue
        runner, answers = await record_run(NO_RECORDER, name, profile)
        assert sum(runner.plant.standing.values()) < 0.03 * 3600.0
        slack = slack_generation(power_flow().case, answers[-1].state)[1]
        if slack < lowest:
            lowest, where, beyond = slack, name, answers[-1].state.beyond_limit
    assert where == "1b"
    if profile == "corrected":
        assert round(lowest, 1) == -20.7
        assert [(at.bus, at.limit, at.limit_mvar) for at in beyond] == [(1, "qmin", -20.0)]
        assert "-20.7 MVAr, below its limit of -20" in PAGE


def test_every_mistake_of_the_specification_is_named() -> None:
    specification = (REPOSITORY / "docs" / "dvs-specification.md").read_text(encoding="utf-8")
    there = specification.split("## 10. ", 1)[1].split("\n## ", 1)[0]
    here = PAGE.split("## What is wrong where", 1)[1].split("\n## ", 1)[0]
    numbers = [re.findall(r"^\| ([0-9]+) \|", part, re.MULTILINE) for part in (there, here)]
    assert numbers[0] == numbers[1] == [str(number) for number in range(1, 17)]


def test_every_formula_becomes_mathml() -> None:
    assert len(FORMULAS) > 40
    for tex in FORMULAS:
        made = with_mathml(f'<p><span class="arithmatex">\\({escape(tex)}\\)</span></p>')
        assert made.startswith("<p><math "), tex
        assert "arithmatex" not in made
        ElementTree.fromstring(made)
        assert "\\" not in re.sub(r'alttext="[^"]*"', "", made), tex


def test_a_formula_of_an_unknown_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="form that is not known"):
        with_mathml('<span class="arithmatex">$x$</span>')
