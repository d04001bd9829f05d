"""Questions to a case's rows: what is one, its text on the ledger, and what a scope covers."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger import jsontext
from services.case.errors import BadQuestion, OutOfScope
from services.case.questions import MAX_TEXT, Question, Scope, names_of, purpose_of, words_of

SCOPE = Scope(("access", "section-plant"), 100, 200, ("b-1", "b-2"), ("ivan",), None)


def test_a_question_is_read_as_it_is_written_and_says_only_what_it_asks() -> None:
    question = Question(channels=("access",), from_us=7, words=("breaker*",), by="block", is_valid=False, limit=5)
    told = question.to_dict()
    assert told == {
        "channels": ["access"],
        "from_us": 7,
        "words": ["breaker*"],
        "by": "block",
        "is_valid": False,
        "limit": 5,
    }
    assert Question.from_dict(jsontext.loads(jsontext.dumps(told))) == question
    assert Question().to_dict() == {}
    parts = Question(parts=("bodies", "files", "rows"))
    assert Question.from_dict(jsontext.loads(jsontext.dumps(parts.to_dict()))) == parts
    assert parts.text("package") == '{"kind":"package","question":{"parts":["bodies","files","rows"]}}'
    assert Question().text("search") == '{"kind":"search","question":{}}'


@pytest.mark.parametrize(
    ("told", "member"),
    [
        ([], "question"),
        ({"more": 1}, "more"),
        ({"channels": "access"}, "channels"),
        ({"channels": []}, "channels"),
        ({"channels": ["access", "access"]}, "channels"),
        ({"channels": ["b", "a"]}, "channels"),
        ({"devices": [f"d-{i:03}" for i in range(65)]}, "devices"),
        ({"devices": ["a b"]}, "devices"),
        ({"devices": [{}]}, "devices"),
        ({"operators": [7]}, "operators"),
        ({"kinds": ["nonsense"]}, "kinds"),
        ({"transactions": ["ab"]}, "transactions"),
        ({"from_us": -1}, "from_us"),
        ({"from_us": True}, "from_us"),
        ({"to_us": 10**16}, "to_us"),
        ({"from_us": 5, "to_us": 5}, "to_us"),
        ({"words": ["two words"]}, "words"),
        ({"words": ["*"]}, "words"),
        ({"words": ["x"] * 17}, "words"),
        ({"by": "heart"}, "by"),
        ({"is_valid": 1}, "is_valid"),
        ({"limit": 0}, "limit"),
        ({"limit": 10_001}, "limit"),
        ({"limit": 1.0}, "limit"),
        ({"bookmark": "7"}, "bookmark"),
        ({"parts": []}, "parts"),
        ({"parts": ["blocks"]}, "parts"),
        ({"parts": ["rows", "files"]}, "parts"),
        ({"bookmark": "7.1 OR 1"}, "bookmark"),
    ],
)
def test_anything_else_is_refused_by_the_member(told: Any, member: str) -> None:
    with pytest.raises(BadQuestion) as refused:
        Question.from_dict(told)
    assert refused.value.message.startswith(f"{member}: ")
    assert refused.value.details == {"member": member}


def test_a_text_that_the_ledger_does_not_take_is_refused() -> None:
    names = names_of(f"{'d' * 60}-{i:03}" for i in range(64))
    with pytest.raises(BadQuestion, match=str(MAX_TEXT)):
        Question(devices=names).text("search")
    with pytest.raises(BadQuestion, match="kind"):
        purpose_of("curiosity")


def test_words_are_what_stands_between_other_characters() -> None:
    assert words_of('breaker-7, "opened" by_hand* 49.98 відкрито') == (
        *("breaker-7", "opened", "by_hand*", "49", "98", "відкрито"),
    )


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"channels": ("access",), "devices": ("b-1",), "operators": ("ivan",), "kinds": ("gps",)},
        {"from_us": 100, "to_us": 200},
        {"terminals": ("t-1",), "sessions": ("s-1",), "words": ("any",)},
    ],
)
def test_a_scope_covers_what_it_names(asked: dict[str, Any]) -> None:
    SCOPE.check(Question(**asked))


@pytest.mark.parametrize(
    ("asked", "member"),
    [
        ({"channels": ("access", "devices")}, "channels"),
        ({"devices": ("b-1", "b-3")}, "devices"),
        ({"operators": ("olha",)}, "operators"),
        ({"from_us": 99}, "from_us"),
        ({"from_us": 200}, "from_us"),
        ({"to_us": 201}, "to_us"),
        ({"to_us": 100}, "to_us"),
    ],
)
def test_what_goes_beyond_a_scope_is_refused_by_the_member(asked: dict[str, Any], member: str) -> None:
    with pytest.raises(OutOfScope) as refused:
        SCOPE.check(Question(**asked))
    assert refused.value.details == {"member": member}
