"""The report of a case: all that was planted is on the page, escaped, and the page needs nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from gridledger.demonstration.report import render_report
from services.case.replay.ukraine2015 import parameters, story
from services.case.report.dossier import Dossier, Packed
from services.case.report.page import EXTRA, MAX_TOLD, case_report
from services.case.rules.catalogue import examine
from tests.support.played_story import rows_of_story
from tests.support.told_rows import BEGIN_US, event

BY = {"mspid": "InvestigatorsMSP", "id": "olha", "certificate": "a" * 64}
CASE: dict[str, Any] = {
    "case": "2015-12",
    "purpose": "Thirty substations <opened>",
    "scope": {"channels": ["access", "section-home"], "from_us": BEGIN_US, "to_us": BEGIN_US + 10**9, "devices": None},
    "by": BY,
    "opened_us": BEGIN_US,
    "tx": "1" * 64,
    "status": "approved",
    "approved": {"by": {**BY, "id": "petro", "mspid": "AuthorityMSP"}, "time_us": BEGIN_US + 1},
    "closed": None,
}
VERIFIED: dict[str, Any] = {
    "outcome": "proved",
    "steps": [{"step": "blocks", "file": "b.json", "holds": True, "message": "ok"}],
    "organisations": {"access": {"attested": ["KyivMSP", "LvivMSP"], "needed": 2}},
    "transactions": [{}] * 7,
    "events": [{}] * 5,
    "disclosed": 3,
    "stamp": {"time_us": 1_796_000_000_000_000, "authority": "CN=Clock & Co", "verified": False},
    "notes": ["a note of the verifier"],
}


@pytest.fixture(scope="module")
def dossier() -> Dossier:
    told = story(2015, quantity=0.5)
    rows = sorted(rows_of_story(told), key=lambda row: (row.said_us or 0, row.block))
    return Dossier(
        case=CASE,
        queries=[{"case": "2015-12", "text": '{"kind":"rules"}', "by": BY, "time_us": BEGIN_US + 5, "tx": "2" * 64}],
        findings=[],
        rows=rows,
        examined=examine(rows, parameters=parameters(told.pace)),
        made_us=BEGIN_US + 10**9,
        left_out={"scope": 12, "not_valid": None},
        packed=Packed("case.zip", "3" * 64, 1_234_567, VERIFIED),
    )


def _page(dossier: Dossier) -> str:
    return render_report(case_report(dossier), extra=EXTRA)


def test_the_page_tells_purpose_scope_queries_findings_proofs_and_what_was_left_out(dossier: Dossier) -> None:
    page = _page(dossier)
    assert "Thirty substations &lt;opened&gt;" in page
    for told in (
        "InvestigatorsMSP",
        "AuthorityMSP",
        "access, section-home",
        "&#34;kind&#34;:&#34;rules&#34;",
        "3" * 64,
    ):
        assert told in page
    for told in (
        "vpn-44",
        "30 devices were opened",
        "a note of the verifier",
        "CN=Clock &amp; Co, not verified",
        "KyivMSP, LvivMSP",
        "beyond the case",
    ):
        assert told in page
    assert "gps-spoofing" in page
    assert "more than were counted" in page
    assert case_report(dossier).is_good


def test_the_page_needs_nothing_from_elsewhere(dossier: Dossier) -> None:
    page = _page(dossier)
    assert page.count("<svg") == 1
    outside = [each for each in re.findall(r'(?:src|href)="([^"]*)"', page) if not each.startswith("#")]
    assert outside == []
    assert "@import" not in page


def test_rows_that_findings_rest_on_are_listed_before_others(dossier: Dossier) -> None:
    page = case_report(dossier)
    (timeline,) = [each.table for each in page.sections if each.heading == "Timeline"]
    assert timeline is not None
    assert len(timeline.rows) == MAX_TOLD
    pointed = {pointer.tx_id[:16] for each in dossier.examined.findings for pointer in each.rows}
    assert pointed <= {row[-2].text for row in timeline.rows}


def test_an_undated_row_borrows_no_time(dossier: Dossier) -> None:
    row = event("d-1", 0, said_us=None)
    page = case_report(replace(dossier, rows=[row], examined=examine([row])))
    (timeline,) = [each.table for each in page.sections if each.heading == "Timeline"]
    assert timeline is not None
    assert timeline.rows[0][0].text == "undated"


def test_a_broken_package_is_said_at_the_top(dossier: Dossier) -> None:
    step = {"step": "paths", "file": "blocks/3.json", "holds": False, "message": "it leads elsewhere"}
    broken = Packed("case.zip", "3" * 64, 1, {**VERIFIED, "outcome": "broken", "steps": [step]})
    page = case_report(replace(dossier, packed=broken))
    assert not page.is_good
    assert "BROKEN" in page.verdict
    assert "it leads elsewhere" in render_report(page, extra=EXTRA)


def test_a_case_without_rows_has_a_page(dossier: Dossier) -> None:
    page = _page(replace(dossier, rows=[], examined=examine([]), packed=None, queries=[], left_out={}))
    assert "none was made" in page


def test_an_expectation_that_did_not_hold_is_no_good_verdict(dossier: Dossier) -> None:
    assert not case_report(replace(dossier, expectations=[("all was found", False)])).is_good
