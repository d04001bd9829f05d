"""Cases as the pages show them: what waits comes first, what is no evidence is marked."""

from __future__ import annotations

from typing import Any

from services.console.cases import view

BY = {"mspid": "KyivMSP", "id": "x509::CN=olha,OU=client,O=Kyiv::CN=Kyiv CA,O=Kyiv"}


def case(name: str, status: str, opened_us: int = 0) -> tuple[str, str, dict[str, Any]]:
    scope = {"channels": ["plant"], "from_us": 1, "to_us": 2, "devices": None, "operators": None, "kinds": None}
    said = {"by": BY, "time_us": 3, "reason": None}
    told = {"case": name, "purpose": "p", "scope": scope, "by": BY, "opened_us": opened_us, "status": status}
    approved = None if status == "open" else said
    return "general", "x", {**told, "approved": approved, "closed": said if status == "closed" else None}


def row(**more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "channel": "plant",
        "block": 5,
        "position": 1,
        "tx_id": "a" * 64,
        "code": 0,
        "kind": "alarm",
        "device": "meter-1",
        "operator": None,
        "terminal": None,
        "said_us": 7,
        "block_us": 8,
        "text": "{}",
        "marks": {},
    }
    return {**told, **more}


def test_cases_that_wait_come_first_and_closed_ones_last() -> None:
    rows = view.case_rows(
        [case("c", "closed"), case("old", "approved", 1), case("new", "approved", 2), case("o", "open")]
    )
    assert [one.cells["case"].text for one in rows] == ["o", "new", "old", "c"]
    assert rows[0].cells["approved_by"].text == ""
    assert rows[1].cells["approved_by"].text == "olha@KyivMSP"


def test_what_is_not_valid_is_no_evidence() -> None:
    sound, late, invalid = view.desk_rows([row(), row(marks={"late": 700}), row(code=999)], {"plant"})
    assert (sound.state, late.cells["marks"].text, late.cells["marks"].state) == ("", "late 700", "warn")
    assert invalid.state == "bad"
    assert invalid.cells["marks"].text == "NOT VALID (999)"


def test_transactions_are_linked_where_their_channel_is_read() -> None:
    (read,), (unread,) = (view.desk_rows([row()], reads) for reads in ({"plant"}, set[str]()))
    assert read.cells["transaction"].href == f"/channels/plant/transactions/{'a' * 64}"
    assert (unread.cells["transaction"].href, unread.cells["place"].href) == (None, None)
    assert unread.cells["transaction"].plain == "a" * 64


def test_what_a_page_leaves_out_is_told() -> None:
    told = {"scope": 0, "not_valid": 100, "undated": None, "limit": 3, "counted_up_to": 100}
    assert view.left_out(told) == [
        "100 or more rows of transactions that are not valid",
        "not counted, as there are too many to look at: rows tell no time; they come last",
        "3 rows behind this page",
    ]
    assert view.left_out(None) == []
