"""Policies over one caller: what they allow, and at which character a text is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.contract import ClientIdentity, ContractError, policy


def caller(mspid: str = "AMSP", role: str = "client", **attributes: str) -> ClientIdentity:
    return ClientIdentity("x", mspid, role, {name.replace("_", "."): value for name, value in attributes.items()})


@pytest.mark.parametrize(
    ("text", "who", "allowed"),
    [
        ("'AMSP.client'", caller(), True),
        ("'AMSP.client'", caller("BMSP"), False),
        ("'AMSP.client'", caller(role="peer"), False),
        ("'AMSP.member'", caller(role="peer"), True),
        ('"AMSP.client"', caller(), True),
        ("'AMSP.client[vault.role=head]'", caller(vault_role="head"), True),
        ("'AMSP.client[vault.role=head]'", caller(vault_role="sensor"), False),
        ("'AMSP.client[vault.role=head]'", caller(), False),
        ("'AMSP.client[vault.role=head]'", caller("BMSP", vault_role="head"), False),
        ("'AMSP.client[ a=1 , b=2 ]'", caller(a="1", b="2"), True),
        ("'AMSP.client[a=1,b=2]'", caller(a="1"), False),
        ("OR('AMSP.client', 'BMSP.client[r=x]')", caller("BMSP", r="x"), True),
        ("OR('AMSP.client', 'BMSP.client[r=x]')", caller("BMSP"), False),
        ("AND('AMSP.client', 'AMSP.member[r=x]')", caller(r="x"), True),
        ("AND('AMSP.client', 'AMSP.member[r=x]')", caller(), False),
        ("AND('AMSP.client', 'BMSP.client')", caller(), False),
        ("OutOf(2, any.client[a=1], 'AMSP.member', 'BMSP.member')".replace("[a=1]", ""), caller(), True),
        ("OutOf(3, any.client, 'AMSP.member', 'BMSP.member')", caller(), False),
        ("MAJORITY('AMSP.member[a=1]', 'AMSP.member[b=1]', 'AMSP.member[c=1]')", caller(a="1", c="1"), True),
        ("MAJORITY('AMSP.member[a=1]', 'AMSP.member[b=1]', 'AMSP.member[c=1]')", caller(a="1"), False),
        ("any.client", caller("ZMSP"), True),
        ("any.member", caller("ZMSP", "orderer"), True),
        ("any.peer", caller(), False),
        ("or(any.peer,and(any.client,'AMSP.member'))", caller(), True),
    ],
)
def test_a_caller_meets_a_policy_or_not(text: str, who: ClientIdentity, allowed: bool) -> None:
    read = policy.parse(text)
    assert read.text == text
    assert read.allows(who) is allowed


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 1, "was expected"),
        ("AMSP.client", 1, "principals stand in quotes"),
        ("'AMSP.boss'", 1, "is neither 'MSPID.ROLE' nor"),
        ("'AMSP'", 1, "is neither"),
        ("'*.client'", 1, "is neither"),
        ("OR('AMSP.client'", 17, "')' was expected"),
        ("'AMSP.client' 'BMSP.client'", 15, "left over"),
        ("OR('AMSP.client', all)", 19, "'all' has no meaning for one caller"),
        ("all.peer", 1, "'all' has no meaning"),
        ("any.boss", 1, "is no role"),
        ("OutOf(3, any.peer, any.client)", 1, "3 of 2 can never be met"),
        ("OutOf(0, any.peer)", 1, "0 of 1"),
        ("'AMSP.client[]'", 1, "is no attribute such as vault.role=head"),
        ("'AMSP.client[a]'", 1, "a is no attribute"),
        ("'AMSP.client[a=]'", 1, "a= is no attribute"),
        ("'AMSP.client[a=1,a=2]'", 1, "the attribute a is asked for twice"),
        ("OR(any.peer, 'AMSP.client[a=é]')", 14, "a=é is no attribute"),
        ("'AMSP.client[" + ",".join(f"a{n}=1" for n in range(9)) + "]'", 1, "at most 8 attributes"),
        ("OR(" * 17 + "any.peer" + ")" * 17, 49, "nested at most 16 deep"),
        ("OR(" + ",".join(["any.peer"] * 513) + ")", 4612, "at most 512 principals"),
        ("'AMSP.client", 1, "not understood"),
        ("OutOf(\u0663, any.peer)", 7, "not understood"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_place(text: str, position: int, message: str) -> None:
    with pytest.raises(ContractError) as refusal:
        policy.parse(text)
    assert str(refusal.value).startswith(f"policy, character {position}: ")
    assert message in str(refusal.value)


def test_a_policy_is_bounded() -> None:
    with pytest.raises(ContractError, match="at most 8192 characters"):
        policy.parse("x" * 8193)


@given(st.one_of(st.text(max_size=60), st.text(alphabet="'ORAND(),.[]=any client peer MSP123", max_size=60)))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    try:
        read = policy.parse(text)
    except ContractError:
        return
    assert read.allows(caller()) in (True, False)


conditions = st.sampled_from(["'AMSP.member'", "'BMSP.member'", "'AMSP.client[a=1]'", "any.client", "any.peer"])
TRUTH = {
    "'AMSP.member'": True,
    "'BMSP.member'": False,
    "'AMSP.client[a=1]'": True,
    "any.client": True,
    "any.peer": False,
}


def gates(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(children, min_size=1, max_size=4).flatmap(
        lambda items: st.integers(1, len(items)).map(lambda needed: (needed, items))
    )


def text_of(tree: Any) -> str:
    return tree if isinstance(tree, str) else f"OutOf({tree[0]}, {', '.join(map(text_of, tree[1]))})"


def truth_of(tree: Any) -> bool:
    return TRUTH[tree] if isinstance(tree, str) else sum(map(truth_of, tree[1])) >= tree[0]


@given(st.recursive(conditions, gates, max_leaves=12))
def test_a_gate_counts_the_conditions_that_are_met(tree: Any) -> None:
    assert policy.parse(text_of(tree)).allows(caller(a="1")) is truth_of(tree)
