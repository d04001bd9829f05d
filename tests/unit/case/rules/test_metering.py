"""Rules about energy and money."""

from __future__ import annotations

from typing import Any

from services.case.rows import Row
from services.case.rules.catalogue import examine
from services.case.rules.finding import Finding
from tests.support.told_rows import batch, event

FEEDERS = {"feeder-1": ["m-1", "m-2"]}
BEGIN_S = 80.0
"""BEGIN_US + 80 s is where a window of 900 s begins."""


def _batches(device: str, mean_w: float, count: int = 15) -> list[Row]:
    return [batch(device, BEGIN_S + 60 * n, 60, {"p_w": [60, 0.0, mean_w, 9e9]}) for n in range(count)]


def _theft(*rows: Row, **given: Any) -> list[Finding]:
    examined = examine(rows, feeders=FEEDERS, parameters={"energy-missing": given})
    return [each for each in examined.findings if each.rule == "energy-missing"]


def _measured(feeder_w: float, *meters_w: float) -> list[Row]:
    rest = [row for n, mean in enumerate(meters_w, 1) for row in _batches(f"m-{n}", mean)]
    return [*_batches("feeder-1", feeder_w), *rest]


def test_energy_that_no_meter_measured_is_found() -> None:
    (found,) = _theft(*_measured(10_000, 5000, 3000))
    assert found.subject == {"device": "feeder-1"}
    assert "0.500 kWh of 2.500 kWh is missing" in found.text
    assert found.details["meters"] == ["m-1", "m-2"]


def test_losses_are_no_theft_up_to_their_limit() -> None:
    assert _theft(*_measured(10_000, 5000, 4200)) == []
    assert len(_theft(*_measured(10_000, 5000, 4199))) == 1
    assert _theft(*_measured(10_000, 5000, 5200)) == []
    (found,) = _theft(*_measured(10_000, 5000, 5201))
    assert "measured too much" in found.text
    assert len(_theft(*_measured(10_000, 5000, 4500), loss=0.04)) == 1


def test_a_meter_that_was_silent_is_no_theft() -> None:
    rows = _measured(10_000, 5000, 3000)
    assert _theft(*(row for row in rows if row.device != "m-2")) == []
    assert _theft(*rows[:-4]) == []


def test_without_feeders_the_rule_says_that_it_was_not_applied() -> None:
    assert "energy-missing" in examine(_measured(10_000, 1, 1)).not_applied


def _payments(*rows: Row) -> list[Finding]:
    return [each for each in examine(rows).findings if each.rule == "payment-without-energy"]


def test_a_payment_without_a_charge_before_it_is_found() -> None:
    charge, paid = event("c-1", 0, "charge"), event("c-1", 60, "payment")
    assert _payments(charge, paid) == []
    (found,) = _payments(charge, paid, event("c-1", 90, "payment"))
    assert "no charge" in found.text
    assert len(_payments(event("c-2", 0, "charge"), paid)) == 1
    assert _payments(charge, event("c-1", 86_400, "payment")) == []
    assert len(_payments(charge, event("c-1", 86_400.001, "payment"))) == 1


def test_a_payment_for_a_charge_of_nothing_is_found_where_the_body_is_known() -> None:
    paid = event("c-1", 60, "payment")
    (found,) = _payments(event("c-1", 0, "charge", body={"energy_wh": 0}), paid)
    assert "no energy" in found.text
    assert _payments(event("c-1", 0, "charge", body={"energy_wh": 0.1}), paid) == []
