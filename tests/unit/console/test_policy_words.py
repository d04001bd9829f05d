"""Policies in plain English."""

from __future__ import annotations

import pytest

from gridledger.identity.policy import Policy
from services.console.policy_words import MAX_WORDS, policy_in_words

ORGS = ("Org1MSP", "Org2MSP", "Org3MSP")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("'Org1MSP.admin'", "an admin of Org1MSP"),
        ("AND('Org1MSP.peer', 'Org2MSP.peer')", "one peer of each of Org1MSP and Org2MSP"),
        ("OR('Org1MSP.peer', 'Org2MSP.peer')", "one peer of Org1MSP or Org2MSP"),
        ("any.member", "any member of Org1MSP, Org2MSP or Org3MSP"),
        ("MAJORITY(all)", "one peer of each of any 2 of Org1MSP, Org2MSP and Org3MSP"),
        ("AND('Org1MSP.peer', 'Org1MSP.peer', 'Org2MSP.peer')", "2 different peers of Org1MSP and one peer of Org2MSP"),
        ("OutOf(2, 'A.peer', 'A.peer', 'B.peer')", "any 2 different peers of A (up to 2) and B"),
        ("AND('A.admin', 'A.admin')", "2 different admins of A"),
        ("OR('A.peer', OR('B.peer', 'A.peer'))", "one peer of A or B"),
        ("AND('A.peer', AND('B.peer', 'C.peer'))", "one peer of each of A, B and C"),
        ("AND(OR('A.peer'), 'B.admin')", "both a peer of A and an admin of B"),
        ("OR('A.admin', 'A.peer', 'B.admin', 'B.peer')", "an admin or a peer of A or B"),
        (
            "OR('A.admin', 'A.client', 'B.member')",
            "an admin or a client of A; or any member of B",
        ),
        (
            "OR(AND('A.peer', 'B.peer'), 'C.peer')",
            "either (one peer of each of A and B) or a peer of C",
        ),
        (
            "OutOf(2, AND('A.peer', 'B.peer'), 'C.peer', 'D.admin')",
            "any 2 of these 3: (one peer of each of A and B), a peer of C and an admin of D",
        ),
    ],
)
def test_words(text: str, words: str) -> None:
    assert policy_in_words(Policy.parse(text, ORGS)) == words


def test_a_policy_that_counts_others_says_that_each_is_judged_by_itself() -> None:
    parts = [Policy.parse(f"OR('{name}.admin', '{name}.peer')") for name in "ABC"]
    words = policy_in_words(Policy.counting("MAJORITY Admins", parts))
    assert words.startswith("any 2 of these 3: (an admin or a peer of A), ")
    assert words.endswith(", each judged by itself")
    simple = [Policy.parse(f"'{name}.admin'") for name in "ABC"]
    assert policy_in_words(Policy.counting("ALL Admins", simple)) == "an admin of each of A, B and C"
    assert policy_in_words(Policy.counting("ANY Admins", simple)) == "an admin of A, B or C"


def test_a_long_policy_is_cut() -> None:
    names = ", ".join(f"'{'x' * 90}{number}.peer'" for number in range(60))
    assert len(policy_in_words(Policy.parse(f"OR({names})"))) == MAX_WORDS
