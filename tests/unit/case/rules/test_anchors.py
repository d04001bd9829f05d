"""Rules about anchors."""

from __future__ import annotations

from services.case.rows import Row
from services.case.rules.catalogue import examine
from services.case.rules.finding import Finding
from tests.support.told_rows import anchored, at, event, row


def _found(rule: str, rows: list[Row]) -> list[Finding]:
    return [each for each in examine(rows).findings if each.rule == rule]


def test_a_channel_whose_anchors_stop_is_found_after_three_intervals() -> None:
    written = [event("d-1", seconds, block=seconds) for seconds in range(0, 100, 10)]
    (found,) = _found("anchors-silent", [*written, anchored("section-home", 21, 25)])
    assert found.subject == {"channel": "section-home"}
    assert "blocks 30 to 50" in found.text
    kept = [anchored("section-home", seconds + 1, seconds + 5) for seconds in range(0, 100, 10)]
    assert _found("anchors-silent", [*written, *kept]) == []


def test_an_anchor_may_come_thirty_seconds_late() -> None:
    written = event("d-1", 0, block=4)
    for size, seconds, is_late in ((5, 30.0, False), (5, 30.1, True), (4, 30.0, True)):
        rows = [written, anchored("section-home", size, seconds), anchored("general", 1, 40)]
        assert bool(_found("anchors-silent", rows)) == is_late


def test_without_rows_of_the_anchoring_channel_nothing_is_said() -> None:
    examined = examine([event("d-1", 0), event("d-1", 500)])
    assert [each.rule for each in examined.findings] == []
    assert "anchors-silent" in examined.not_applied


def test_two_roots_of_one_size_are_a_fork() -> None:
    def told(size: int, root: str, seconds: float = 0) -> Row:
        return anchored("section-home", size, seconds, "attested", root * 64)

    (found,) = _found("anchors-forked", [told(5, "a"), told(5, "b", 1), told(5, "a", 2)])
    assert len(found.rows) == 3
    assert found.details["roots"] == ["a" * 64, "b" * 64]
    assert _found("anchors-forked", [told(5, "a"), told(5, "a", 1), told(6, "b", 2)]) == []


def test_time_counts_from_when_the_channels_members_were_set() -> None:
    early = event("d-1", 0, block=1)
    members = row("members-set", 200, text={"channel": "section-home", "organisations": ["KyivMSP"]})
    assert _found("anchors-silent", [early, members, anchored("section-home", 9, 225)]) == []
    assert len(_found("anchors-silent", [early, members, anchored("section-home", 9, 235)])) == 1


def test_two_silences_are_two_findings() -> None:
    written = [event("d-1", seconds, block=seconds) for seconds in (0, 10, 500, 510)]
    anchors = [anchored("section-home", 11, 60), anchored("section-home", 511, 600)]
    assert [len(each.rows) for each in _found("anchors-silent", [*written, *anchors])] == [2, 2]


def test_a_row_that_came_into_a_block_late_does_not_make_the_record_longer() -> None:
    rows = [event("d-1", 0, block=4), anchored("general", 1, 5), event("d-2", 6, block=9, block_us=at(50))]
    assert _found("anchors-silent", rows) == []
    assert len(_found("anchors-silent", [*rows, event("d-2", 40, block=10)])) == 1
