"""Questions of a form are those that the case desk takes; what it would refuse by form is refused with the field."""

from __future__ import annotations

import pytest

from gridledger import jsontext
from gridledger.errors import InputError
from services.case.questions import Question
from services.console.cases import questions
from services.console.cases.basket import Item
from services.console.cases.basket import question_of as of_basket


def test_the_desk_reads_what_a_form_asks() -> None:
    fields = {
        "devices": "meter-2, meter-1 meter-2",
        "from": "2026-11-30T15:00Z",
        "to": "2026-11-30T17:00+01:00",
        "words": "breaker opened*",
        "by": "block",
        "not_valid": "yes",
        "operators": " ",
    }
    read = Question.from_dict(questions.paged(questions.question_of(fields), "5.1"))
    assert read == Question(
        devices=("meter-1", "meter-2"),
        from_us=1_796_050_800_000_000,
        to_us=1_796_054_400_000_000,
        words=("breaker", "opened*"),
        by="block",
        is_valid=False,
        limit=questions.PAGE,
        bookmark="5.1",
    )


def test_the_text_on_the_ledger_is_the_one_that_the_desk_compares() -> None:
    asked = [
        questions.paged(questions.question_of({"kinds": "alarm", "from": "2026-11-30T15:00Z"})),
        of_basket([Item("plant", f"{number:064x}") for number in range(50)]),
    ]
    for question in asked:
        read = Question.from_dict(jsontext.loads(jsontext.dumps(question)))
        assert questions.text_of("timeline", read.to_dict()) == read.text("timeline")
        assert read.to_dict() == {name: question[name] for name in read.to_dict()}


@pytest.mark.parametrize(
    ("field", "text"), [("from", "yesterday"), ("to", "2026-11-30T15:00"), ("by", "luck"), ("words", "x" * 1001)]
)
def test_a_fault_names_its_field(field: str, text: str) -> None:
    with pytest.raises(InputError, match=field):
        questions.question_of({field: text})


def test_a_question_that_is_too_long_is_refused() -> None:
    with pytest.raises(InputError):
        questions.text_of("timeline", {"words": ["x" * questions.MAX_TEXT]})


def test_times_are_read_as_they_are_written() -> None:
    us = 1_796_050_801_000_000
    assert questions.time_us(questions.time_text(us), "from") == us
