"""What the rules have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.errors import InputError
from services.case.rules.catalogue import RULES, examine
from services.case.rules.finding import MAX_POINTERS
from services.case.rules.gps import Measured, gps_rule
from services.case.rules.metering import theft_rule
from tests.support.phasor_day import grid, steady
from tests.support.told_rows import command, event, opened


def test_each_rule_says_what_it_looks_for_and_in_which_units() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.says.endswith(".")
        assert all(each.unit and each.says and each.default > 0 for each in rule.parameters)


def test_unknown_rules_and_parameters_are_named() -> None:
    with pytest.raises(InputError, match="no rule 'spoofing'"):
        examine([], parameters={"spoofing": {}})
    with pytest.raises(InputError, match="no parameter 'limit'"):
        examine([], parameters={"clock": {"limit": 1.0}})


def test_the_order_in_which_rows_come_changes_nothing() -> None:
    rows = [opened("s-1", 0), *(command(f"b-{n}", n) for n in range(9)), event("d-1", 50_000)]
    assert examine(rows).to_dict() == examine(rows[::-1]).to_dict()


def test_the_json_form_is_json() -> None:
    rows = [opened("s-1", 0), *(command(f"b-{n}", n) for n in range(9)), event("d-1", 50_000)]
    told = jsontext.loads(jsontext.dumps(examine(rows).to_dict()))
    assert told["parameters"]["many-openings"] == {"devices": 5.0, "window_s": 600.0}
    assert told["findings"][0]["rows"][0].keys() == {"channel", "block", "position", "item", "tx_id"}


def test_a_finding_points_to_a_bounded_number_of_rows_and_counts_the_rest() -> None:
    (found,) = examine([event("calls", n * 0.1, "alarm") for n in range(MAX_POINTERS + 7)]).findings
    assert len(found.rows) == MAX_POINTERS
    assert found.more == 7


def test_the_page_on_forensics_tells_each_rule_with_its_parameters() -> None:
    page = (Path(__file__).parents[4] / "docs" / "forensics.md").read_text(encoding="utf-8")
    measured = Measured(grid()[2], steady(1), 50.0)
    for rule in (*RULES, theft_rule({}), gps_rule(measured)):
        told = "; ".join(f"`{each.name}` {each.default:g} {each.unit}: {each.says}" for each in rule.parameters)
        assert f"| `{rule.name}` | {rule.says} | {told or 'none'} |" in page
