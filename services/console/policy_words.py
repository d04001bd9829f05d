"""Policies in plain English: who must sign, or who is admitted. The policy's text stands beside it always."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from gridledger.identity.policy import Policy
from gridledger.identity.policy_text import Gate, Node, Principal

MAX_WORDS: Final = 2000
"""Characters of a translation; a longer policy is cut, and its text says the rest."""

_ONE: Final = {
    "member": "any member",
    "client": "a client",
    "peer": "a peer",
    "orderer": "an orderer",
    "admin": "an admin",
}
_NUMBERED: Final = {"member": "one member", "client": "one client", "peer": "one peer", "orderer": "one orderer"}
_SEVERAL: Final = {"member": "members", "client": "clients", "peer": "peers", "orderer": "orderers", "admin": "admins"}


def policy_in_words(policy: Policy) -> str:
    """A policy as a sentence without its full stop, such as ``one peer of each of Org1MSP and Org2MSP``."""
    words = _words(_simplified(policy.tree))
    return words if len(words) <= MAX_WORDS else f"{words[: MAX_WORDS - 1]}…"


def _simplified(node: Node) -> Node:
    """The same policy with no gate of one child, no choice inside a choice, and no demand for all inside another."""
    if isinstance(node, Principal):
        return node
    children: list[Node] = []
    for child in map(_simplified, node.children):
        is_choice = isinstance(child, Gate) and child.needed == 1 == node.needed
        is_demand = _is_demand(child) and node.needed == len(node.children) and not node.apart
        children += child.children if isinstance(child, Gate) and (is_choice or is_demand) else [child]
    everything = node.needed == len(node.children)
    if node.needed == 1:
        children = list(dict.fromkeys(children))
    if len(children) == 1:
        return children[0]
    return Gate(len(children) if everything and node.needed > 1 else node.needed, tuple(children), node.apart)


def _is_demand(node: Node) -> bool:
    return isinstance(node, Gate) and node.needed == len(node.children) and not node.apart


def _words(node: Node) -> str:
    if isinstance(node, Principal):
        return f"{_ONE[node.role]} of {node.mspid}"
    roles = {child.role for child in node.children if isinstance(child, Principal)}
    if len(roles) == 1 and all(isinstance(child, Principal) for child in node.children):
        names = [child.mspid for child in node.children if isinstance(child, Principal)]
        return _of_organisations(node, roles.pop(), names)
    if node.needed == 1 and all(isinstance(child, Principal) for child in node.children):
        return _any_of([child for child in node.children if isinstance(child, Principal)])
    parts = [_part(child) for child in node.children]
    apart = ", each judged by itself" if node.apart else ""
    if node.needed == 1:
        return f"{'either ' if len(parts) == 2 else 'one of these: '}{_list(parts, 'or')}"  # noqa: PLR2004
    if node.needed == len(parts):
        return f"{'both ' if len(parts) == 2 else 'all of these: '}{_list(parts, 'and')}{apart}"  # noqa: PLR2004
    return f"any {node.needed} of these {len(parts)}: {_list(parts, 'and')}{apart}"


def _of_organisations(gate: Gate, role: str, names: Sequence[str]) -> str:
    """Principals of one role: of each organisation, of any, or of some."""
    counts = Counter(names)
    one = _NUMBERED.get(role, _ONE[role])
    if gate.needed == 1:
        return f"{_ONE[role] if role == 'member' else one} of {_list(names, 'or')}"
    if gate.needed == len(names):
        if len(counts) == len(names):
            return f"{one} of each of {_list(names, 'and')}"
        parts = [
            f"{one} of {name}" if count == 1 else f"{count} different {_SEVERAL[role]} of {name}"
            for name, count in counts.items()
        ]
        return _list(parts, "and")
    if len(counts) == len(names):
        return f"{one} of each of any {gate.needed} of {_list(names, 'and')}"
    shown = [name if count == 1 else f"{name} (up to {count})" for name, count in counts.items()]
    return f"any {gate.needed} different {_SEVERAL[role]} of {_list(shown, 'and')}"


def _any_of(principals: Sequence[Principal]) -> str:
    """One of several roles: organisations of which the same roles count stand together."""
    roles: dict[str, list[str]] = {}
    for one in principals:
        roles.setdefault(one.mspid, []).append(one.role)
    alike: dict[tuple[str, ...], list[str]] = {}
    for mspid, found in roles.items():
        alike.setdefault(tuple(found), []).append(mspid)
    parts = [f"{_list([_ONE[role] for role in found], 'or')} of {_list(names, 'or')}" for found, names in alike.items()]
    return "; or ".join(parts)


def _part(node: Node) -> str:
    return _words(node) if isinstance(node, Principal) else f"({_words(node)})"


def _list(items: Sequence[str], last: str) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"
