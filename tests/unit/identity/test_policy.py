"""Policies: the text, the answer against brute force, the minimal sets."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.identity import MalformedPolicy, Policy
from gridledger.identity.policy_text import Gate, ImplicitMeta, Node, Principal, parse_policy
from tests.support.examples import examples

ORGS = ("A", "B", "C")
ROLES = ("peer", "client", "admin")


def to_text(node: Node) -> str:
    if isinstance(node, Principal):
        return f"'{node.mspid}.{node.role}'"
    return f"OutOf({node.needed}, {', '.join(to_text(child) for child in node.children)})"


def ways(node: Node) -> list[tuple[Principal, ...]]:
    """Every list of principals that makes the tree true, by definition: any ``needed`` of the children."""
    if isinstance(node, Principal):
        return [(node,)]
    found = []
    for chosen in combinations(node.children, node.needed):
        lists: list[tuple[Principal, ...]] = [()]
        for child in chosen:
            lists = [done + way for done in lists for way in ways(child)]
        found += lists
    return found


def brute_force(node: Node, identities: list[tuple[str, str]]) -> bool:
    """Whether some way can be filled by distinct identities, every order of them tried."""
    for way in set(ways(node)):
        if len(way) > len(identities):
            continue
        for signers in permutations(identities, len(way)):
            pairs = zip(way, signers, strict=True)
            if all(p.mspid == mspid and p.role in {"member", role} for p, (mspid, role) in pairs):
                return True
    return False


principals = st.builds(Principal, st.sampled_from(ORGS), st.sampled_from(("peer", "peer", "member", "client")))


def gates(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.lists(children, min_size=1, max_size=3).flatmap(
        lambda items: st.integers(1, len(items)).map(lambda needed: Gate(needed, tuple(items)))
    )


trees: st.SearchStrategy[Node] = st.recursive(principals, gates, max_leaves=6)
signers = st.lists(st.tuples(st.sampled_from(ORGS), st.sampled_from(ROLES)), max_size=5)


@settings(max_examples=examples(400), deadline=None)
@given(trees, signers)
def test_satisfied_exactly_when_an_assignment_exists(tree: Node, identities: list[tuple[str, str]]) -> None:
    assert Policy.parse(to_text(tree)).satisfied_by(identities) == brute_force(tree, identities)


@settings(max_examples=examples(200), deadline=None)
@given(trees, signers, st.randoms(use_true_random=False))
def test_the_order_of_signatures_does_not_matter(tree: Node, identities: list[tuple[str, str]], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(identities, len(identities))
    assert Policy(to_text(tree), tree).satisfied_by(identities) == Policy(to_text(tree), tree).satisfied_by(shuffled)


@settings(max_examples=examples(200), deadline=None)
@given(trees, st.lists(st.sampled_from(ORGS), unique=True), st.integers(1, 3))
def test_minimal_layouts_are_minimal_and_complete(tree: Node, mspids: list[str], each: int) -> None:
    policy = Policy(to_text(tree), tree)
    peers = sorted(mspids * each)
    enough = [
        layout
        for size in range(len(peers) + 1)
        for layout in sorted(set(combinations(peers, size)))
        if brute_force(tree, [(mspid, "peer") for mspid in layout])
    ]
    minimal = [x for x in enough if not any(x[:i] + x[i + 1 :] in enough for i in range(len(x)))]
    assert policy.minimal_layouts(dict.fromkeys(mspids, each)) == minimal


RULES = {
    "ANY": any,
    "ALL": lambda met: bool(met) and all(met),
    "MAJORITY": lambda met: sum(met) * 2 > len(met),
}


@settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from(sorted(RULES)), st.lists(trees, max_size=4), signers)
def test_an_implicit_meta_counts_the_policies_that_are_met(
    rule: str, parts: list[Node], identities: list[tuple[str, str]]
) -> None:
    policy = Policy.counting(f"{rule} Admins", [Policy(to_text(part), part) for part in parts])
    assert policy.satisfied_by(identities) == RULES[rule]([brute_force(part, identities) for part in parts])


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(sorted(RULES)), st.lists(st.lists(trees, max_size=3), max_size=3), signers)
def test_an_implicit_meta_counts_others_as_well(
    rule: str, groups: list[list[Node]], identities: list[tuple[str, str]]
) -> None:
    inner = [Policy.counting("MAJORITY Admins", [Policy(to_text(part), part) for part in group]) for group in groups]
    met = [RULES["MAJORITY"]([brute_force(part, identities) for part in group]) for group in groups]
    assert Policy.counting(f"{rule} Admins", inner).satisfied_by(identities) == RULES[rule](met)


def test_an_identity_counts_for_each_policy_of_an_implicit_meta() -> None:
    one = Policy.parse("'A.admin'")
    assert Policy.counting("ALL Admins", [one, one]).satisfied_by([("A", "admin")])
    assert not Policy.parse("AND('A.admin', 'A.admin')").satisfied_by([("A", "admin")])


def test_an_implicit_meta_of_nobody_is_never_met() -> None:
    for rule in RULES:
        nobody = Policy.counting(f"{rule} Readers", [])
        assert not nobody.satisfied_by([("A", "admin")])
        assert nobody.fewest(lambda _: True) is None
        assert nobody.minimal_layouts({"A": 1}) == []


def test_an_implicit_meta_of_endorsement_has_the_layouts_of_its_organisations() -> None:
    parts = [Policy.parse(f"'{mspid}.peer'") for mspid in ORGS]
    policy = Policy.counting("MAJORITY Endorsement", parts)
    assert policy.minimal_layouts(dict.fromkeys(ORGS, 1)) == [("A", "B"), ("A", "C"), ("B", "C")]
    assert policy.fewest(lambda _: True) == 2
    assert policy.mspids == set(ORGS)


def test_a_large_implicit_meta_has_no_contest() -> None:
    twice = [Policy.parse(f"AND('Org{n}.admin', 'Org{n}.member')") for n in range(100)]
    policy = Policy.counting("MAJORITY Admins", twice)
    signed = [(f"Org{n}", role) for n in range(51) for role in ("admin", "client")]
    assert policy.satisfied_by(signed)
    assert not policy.satisfied_by(signed[:-1])


@pytest.mark.parametrize(
    "text", ["MAJORITY", "MOST Admins", "majority Admins", "MAJORITY  Admins", "ANY Kings", "OR('A.peer')"]
)
def test_another_spelling_is_no_implicit_meta(text: str) -> None:
    assert ImplicitMeta.read(text) is None
    with pytest.raises(MalformedPolicy, match="is no ImplicitMeta"):
        Policy.counting(text, [])


def test_all_stands_for_every_organisation() -> None:
    orgs = [f"Org{n}MSP" for n in range(1, 7)]
    policy = Policy.parse("OutOf(4, all)", orgs)
    assert policy.satisfied_by([(org, "peer") for org in orgs[:4]])
    assert not policy.satisfied_by([(org, "peer") for org in orgs[:3]])
    assert not policy.satisfied_by([(org, "client") for org in orgs])
    assert not policy.satisfied_by([(orgs[0], "peer")] * 6)
    assert policy.minimal_layouts(dict.fromkeys(orgs, 1)) == list(combinations(orgs, 4))
    assert policy.minimal_layouts(dict.fromkeys(orgs[:3], 1)) == []
    majority = Policy.parse("MAJORITY(all.admin)", orgs)
    assert majority.satisfied_by([(org, "admin") for org in orgs[:4]])
    assert not majority.satisfied_by([(org, "admin") for org in orgs[:3]])
    anyone = Policy.parse("any.member", orgs)
    assert anyone.satisfied_by([(orgs[5], "client")])
    assert not anyone.satisfied_by([("StrangerMSP", "client")])


def test_parsing_is_as_in_fabric() -> None:
    text = """ AND( 'Org1MSP.peer', OR("Org-2.MSP.admin", 'Org3MSP.member') ) """
    tree = parse_policy(text, ())
    assert tree == Gate(
        2, (Principal("Org1MSP", "peer"), Gate(1, (Principal("Org-2.MSP", "admin"), Principal("Org3MSP", "member"))))
    )
    assert Policy.parse(text) is Policy.parse(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "character 1: a principal"),
        ("all", "stand alone"),
        ("'A.peer' 'B.peer'", "left over"),
        ("AND('A.peer'", "')' was expected"),
        ("AND()", "a principal"),
        ("OutOf('A.peer')", "starts with a number"),
        ("OutOf(0, 'A.peer')", "can never be met, or always"),
        ("OutOf(3, 'A.peer', 'B.peer')", "3 of 2"),
        ("OutOf(2, 'A.boss', 'B.peer')", "'MSPID.ROLE'"),
        ("A.peer", "stand in quotes"),
        ("OR(all.boss)", "'boss' is no role"),
        ("OR('A.peer'; 'B.peer')", "character 12: not understood"),
        ("OR(" * 40 + "'A.peer'" + ")" * 40, "at most 16 deep"),
        ("OR(" + ",".join(["'A.peer'"] * 600) + ")", "at most 512 principals"),
        ("OR('A.peer')" + " " * 9000 + "x", "at most 8192 characters"),
        ("AND(" + ",".join(["'A.peer'"] * 17) + ")", "compete"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(MalformedPolicy, match=complaint.replace("(", r"\(").replace(")", r"\)")):
        Policy.parse(text, ["A", "B"])


def test_all_of_nobody_is_refused() -> None:
    with pytest.raises(MalformedPolicy, match="no organisations"):
        Policy.parse("OutOf(1, all)", [])


def test_large_policies_are_judged_without_search() -> None:
    orgs = [f"Org{n}MSP" for n in range(100)]
    policy = Policy.parse("AND(OutOf(50, all), OutOf(30, all.admin), OR('Org1MSP.client', AND(all.client)))", orgs)
    signed = [(org, "peer") for org in orgs[:50]] + [(org, "admin") for org in orgs[:30]]
    assert not policy.satisfied_by(signed)
    assert policy.satisfied_by([*signed, ("Org1MSP", "client")])
    # Too many to list them all, but what is listed is minimal.
    half = Policy.parse("OutOf(10, all)", orgs[:20])
    layouts = half.minimal_layouts(dict.fromkeys(orgs, 1))
    assert all(len(names) == 10 for names in layouts)
    assert 0 < len(layouts) <= 1024


def test_a_policy_tells_whom_it_names() -> None:
    policy = Policy.parse("OR('A.peer', OutOf(2, 'B.member', 'C.admin', any.peer))", ["D", "A"])
    assert policy.mspids == {"A", "B", "C", "D"}


@pytest.mark.parametrize("one", ["\u0661", "\U00011f51"])
def test_digits_are_ascii_whatever_python_knows(one: str) -> None:
    """The second one is a digit from Python 3.12 on: peers would have judged a configuration differently."""
    with pytest.raises(MalformedPolicy):
        Policy.parse(f"OutOf({one}, 'A.peer')", ["A"])
