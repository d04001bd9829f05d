"""The week of the attack: what is in it, and that the rules find all of it and accuse nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.case.replay.centres import CENTRES, SUBSTATIONS
from services.case.replay.judging import judge
from services.case.replay.story import Denial, Login, Logout, Order, Pace, Said, Story
from services.case.replay.ukraine2015 import ATTACK_S, FOREIGN, LENGTH_S, SLOW, parameters, story
from services.case.rules.catalogue import Examined, examine
from tests.support.played_story import rows_of_story


@pytest.fixture(scope="module")
def week() -> Story:
    return story(2015)


def _examined(told: Story) -> Examined:
    return examine(rows_of_story(told), parameters=parameters(told.pace))


def test_a_story_is_a_function_of_its_seed(week: Story) -> None:
    assert story(2015) == week
    assert story(2016) != week


def test_the_week_holds_what_it_says(week: Story) -> None:
    assert all(0 <= each.at_s < LENGTH_S for each in week.happenings)
    assert [each.at_s for each in week.happenings] == sorted(each.at_s for each in week.happenings)
    openings = [each for each in week.happenings if isinstance(each, Order) and each.session.endswith("-x-final")]
    assert [each.device for each in openings] == list(week.truth.openings)
    assert len(set(week.truth.openings)) == SUBSTATIONS * len(CENTRES) == 30
    assert openings[0].at_s == ATTACK_S
    assert openings[-1].at_s < ATTACK_S + 40 * 60
    by_kind = {kind: sum(isinstance(each, kind) for each in week.happenings) for kind in (Login, Logout, Denial, Order)}
    assert by_kind[Login] > 63
    assert by_kind[Login] - by_kind[Logout] == 1
    assert by_kind[Order] > 150
    said = [each for each in week.happenings if isinstance(each, Said)]
    assert len(said) > 1500
    assert {each.device for each in said} == set(week.cast.devices)


def test_sessions_are_their_operators_and_commands_stand_inside_them(week: Story) -> None:
    login = {each.session: each for each in week.happenings if isinstance(each, Login)}
    logout = {each.session: each.at_s for each in week.happenings if isinstance(each, Logout)}
    assert all(each.operator in week.cast.operators for each in login.values())
    for each in week.happenings:
        if isinstance(each, Order):
            assert login[each.session].at_s < each.at_s < logout.get(each.session, LENGTH_S), each
    foreign = [each for each in login.values() if each.terminal == FOREIGN]
    assert {each.session for each in foreign} == week.truth.sessions


@pytest.mark.parametrize("seed", [2015, 1, 7])
def test_the_rules_find_all_that_was_planted_and_accuse_nobody_else(seed: int) -> None:
    told = story(seed)
    judged = judge(told.truth, _examined(told).findings)
    assert judged.missing == ()
    assert [each.text for each in judged.accused] == []
    assert judged.openings_in_order
    assert judged.is_right


def test_the_first_foreign_login_is_found_first_of_all(week: Story) -> None:
    judged = judge(week.truth, _examined(week).findings)
    first = judged.found[0][0]
    assert first.what == "the first foreign login"
    assert first.subject["terminal"] == FOREIGN


def test_without_the_attack_nobody_is_accused(week: Story) -> None:
    truth = week.truth
    guilty = (*truth.sessions,)
    calm = [
        each
        for each in week.happenings
        if getattr(each, "session", None) not in guilty
        and not (isinstance(each, Denial) and each.at_s > ATTACK_S)
        and not (isinstance(each, Said) and (each.device in truth.devices or each.ahead_s))
    ]
    assert [each.text for each in _examined(replace(week, happenings=tuple(calm))).findings] == []


def test_what_is_not_found_and_what_is_accused_beside_is_told(week: Story) -> None:
    findings = _examined(week).findings
    without = [each for each in findings if each.rule != "alarm-burst"]
    assert [each.rule for each in judge(week.truth, without).missing] == ["alarm-burst"]
    other = replace(findings[0], rule="clock", subject={"device": "breaker-kyiv-01"}, details={})
    assert judge(week.truth, [*findings, other]).accused == (other,)
    swapped = [
        replace(each, details={**each.details, "devices": each.details["devices"][::-1]})
        if each.rule == "many-openings"
        else each
        for each in findings
    ]
    assert not judge(week.truth, swapped).openings_in_order


def test_the_pace_is_slow_where_it_all_happens(week: Story) -> None:
    pace = week.pace
    assert pace.length_s == 180.0
    assert pace.replay_s(SLOW[1]) - pace.replay_s(SLOW[0]) == pytest.approx(45.0)
    assert pace.faster(ATTACK_S) == pytest.approx(120.0)
    assert pace.faster(0.0) > 4000
    for at_s in (0.0, 1e5, ATTACK_S, LENGTH_S):
        assert pace.story_s(pace.replay_s(at_s)) == pytest.approx(at_s)
    assert Pace(((0.0, 0.0), (10.0, 1.0))).replay_s(5.0) == 0.5


def test_the_rules_spans_are_as_much_shorter_as_the_replay_is_faster(week: Story) -> None:
    given = parameters(week.pace)
    assert given["many-openings"]["window_s"] == pytest.approx(5.0)
    assert given["session-without-logout"]["after_s"] == pytest.approx(43_200 / week.pace.faster(0.0))
    assert "clock" not in given
