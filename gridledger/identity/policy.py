"""Policies: which signatures are enough.

    policy    = OutOf(n, item, ...) | AND(item, ...) | OR(item, ...) | MAJORITY(item, ...) | any.ROLE | principal
    item      = policy | all | all.ROLE
    principal = 'MSPID.ROLE'                     ROLE = member | client | peer | orderer | admin

``all.ROLE`` stands for that principal of every organisation in turn, ``all`` for ``all.peer``, ``any.ROLE`` for
``OR(all.ROLE)``. As in Fabric an identity counts for one principal only, and ``member`` is any role. Unlike in Fabric
the answer does not depend on the order of signatures or principals: a policy is satisfied when any assignment of
signatures to principals exists.

Beside these signature policies there is Fabric's ImplicitMeta, which counts policies of one name in the parts of a
channel: ``ANY Readers``, ``ALL Writers``, ``MAJORITY Admins``, ``MAJORITY Endorsement``. Who asks for it says which
policies these are. Each of them is judged by itself, by all identities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, islice, product

from gridledger.identity.errors import MalformedPolicy
from gridledger.identity.policy_text import Gate, ImplicitMeta, Node, Principal, parse_policy

MAX_CONTESTED = 16
"""Principals of one policy that may compete for the same identity. The search is exponential in these alone."""

MAX_MINIMAL_LAYOUTS = 1024
_MAX_COMBINATIONS = 8192
_CACHED_ANSWERS = 4096


class Policy:
    """A parsed policy; ``text`` is what it was parsed from. Safe to share between threads."""

    __slots__ = ("_answers", "_layouts", "_root", "text", "tree")

    def __init__(self, text: str, root: Node) -> None:
        self.text = text
        self.tree = root
        self._root = _plan(root)
        self._answers: dict[tuple[tuple[str, str], ...], bool] = {}
        self._layouts: dict[tuple[tuple[str, int], ...], tuple[tuple[str, ...], ...]] = {}

    @staticmethod
    def parse(text: str, all_orgs: Sequence[str] = ()) -> Policy:
        """Parse ``text``; ``all_orgs`` are the MSP ids that ``all`` stands for. Cached.

        Raises :class:`MalformedPolicy`, which names the place.
        """
        return _parse(text, tuple(dict.fromkeys(all_orgs)))

    @staticmethod
    def counting(text: str, parts: Sequence[Policy]) -> Policy:
        """The ImplicitMeta ``text`` over ``parts``, the policies that it counts. Not cached, as these may be many."""
        meta = ImplicitMeta.read(text)
        if meta is None:
            raise MalformedPolicy(f"{text!r:.80} is no ImplicitMeta such as 'MAJORITY Admins'", policy=text)
        return Policy(text, meta.over([part.tree for part in parts]))

    def satisfied_by(self, identities: Iterable[tuple[str, str]]) -> bool:
        """Whether these (MSP id, role) pairs are enough, one pair for each distinct identity that has signed."""
        key = tuple(sorted(identities))
        answer = self._answers.get(key)
        if answer is None:
            answer = _satisfied(self._root, _Supply.of(key))
            if len(self._answers) >= _CACHED_ANSWERS:
                self._answers.clear()
            self._answers[key] = answer
        return answer

    @property
    def mspids(self) -> frozenset[str]:
        """The MSP ids that the policy names, those that ``all`` stands for included."""
        return frozenset(_mspids(self._root))

    def fewest(self, exists: Callable[[Principal], bool]) -> int | None:
        """The fewest identities that satisfy the policy where there are as many as one likes of each principal that
        ``exists`` says there is; None where they never do."""
        return _fewest(self._root, exists)

    def minimal_layouts(self, peers: Mapping[str, int]) -> list[tuple[str, ...]]:
        """The sets of peers that satisfy the policy and lose that without any one of their members.

        ``peers[mspid]`` peers of an organisation are at hand; a set names an MSP id once for each peer that it takes.
        Ascending by size, then by name; at most MAX_MINIMAL_LAYOUTS. Empty when all peers together are not enough.
        """
        key = tuple(sorted(peers.items()))
        layouts = self._layouts.get(key)
        if layouts is None:
            candidates = sorted(_layouts(self._root, peers), key=lambda layout: (len(layout), layout))
            minimal = (layout for layout in candidates if self._needs_all(layout))
            layouts = tuple(islice(minimal, MAX_MINIMAL_LAYOUTS))
            if len(self._layouts) >= _CACHED_ANSWERS:
                self._layouts.clear()
            self._layouts[key] = layouts
        return list(layouts)

    def _needs_all(self, layout: tuple[str, ...]) -> bool:
        # More signatures never hurt, so a set is minimal when it fails without any one of its members.
        signers = [(mspid, "peer") for mspid in layout]
        return not any(
            _satisfied(self._root, _Supply.of(signers[:index] + signers[index + 1 :])) for index in range(len(signers))
        )

    def __repr__(self) -> str:
        return f"<Policy {self.text}>"


@lru_cache(maxsize=1024)
def _parse(text: str, all_orgs: tuple[str, ...]) -> Policy:
    return Policy(text, parse_policy(text, all_orgs))


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """A node prepared for the search. ``principal`` is None at a gate.

    A node is free when no principal inside it can want an identity that one outside wants too; then it can be judged by
    itself. A gate's free children come first.
    """

    principal: Principal | None
    needed: int
    children: tuple[_Plan, ...]
    free: bool


class _Supply:
    """How many identities there are for each principal, and how many the search has spent."""

    __slots__ = ("_available", "_spent")

    def __init__(self, available: Counter[tuple[str, str]]) -> None:
        self._available = available
        self._spent: Counter[tuple[str, str]] = Counter()

    @classmethod
    def of(cls, identities: Iterable[tuple[str, str]]) -> _Supply:
        available: Counter[tuple[str, str]] = Counter()
        for mspid, role in identities:
            available[mspid, role] += 1
            available[mspid, "member"] += 1
        return cls(available)

    def unspent(self) -> _Supply:
        return _Supply(self._available)

    def has(self, principal: Principal) -> bool:
        return self._available[principal.mspid, principal.role] > 0

    def spend(self, principal: Principal) -> bool:
        """Set one identity aside, if there is one. Which one a ``member`` takes need not be said: by Hall's theorem an
        assignment exists exactly when no role and no organisation is asked for more than it has."""
        role, anyone = (principal.mspid, principal.role), (principal.mspid, "member")
        if self._spent[role] >= self._available[role] or self._spent[anyone] >= self._available[anyone]:
            return False
        self._spent[role] += 1
        if role != anyone:
            self._spent[anyone] += 1
        return True

    def give_back(self, principal: Principal) -> None:
        role, anyone = (principal.mspid, principal.role), (principal.mspid, "member")
        self._spent[role] -= 1
        if role != anyone:
            self._spent[anyone] -= 1


_Agenda = tuple[tuple[_Plan, ...], int, int, "_Agenda"] | None
"""What is still to be met: (children, index of the next one, how many of the rest, what comes after)."""


def _satisfied(plan: _Plan, supply: _Supply) -> bool:
    """Judge a free node: by itself, whatever the search around it has spent."""
    if plan.principal is not None:
        return supply.has(plan.principal)
    return _meet((plan.children, 0, plan.needed, None), supply.unspent())


def _meet(agenda: _Agenda, supply: _Supply) -> bool:
    """Depth-first search over the contested principals; leaves ``supply`` as it was when it fails."""
    while agenda is not None:
        children, index, needed, after = agenda
        if needed == 0:
            agenda = after
            continue
        if len(children) - index < needed:
            return False
        child = children[index]
        if child.free:
            # Meeting it costs nobody else anything: no need to try without.
            agenda = (children, index + 1, needed - _satisfied(child, supply), after)
            continue
        if _meet_with(child, (children, index + 1, needed - 1, after), supply):
            return True
        agenda = (children, index + 1, needed, after)
    return True


def _meet_with(child: _Plan, rest: _Agenda, supply: _Supply) -> bool:
    if child.principal is None:
        return _meet((child.children, 0, child.needed, rest), supply)
    if not supply.spend(child.principal):
        return False
    if _meet(rest, supply):
        return True
    supply.give_back(child.principal)
    return False


def _layouts(plan: _Plan, peers: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Sorted MSP ids, one for each peer that signs, for every way through the tree that ``peers`` can go."""
    if plan.principal is not None:
        fits = plan.principal.role in {"peer", "member"} and peers.get(plan.principal.mspid, 0) > 0
        return [(plan.principal.mspid,)] if fits else []
    options = [found for child in plan.children if (found := _layouts(child, peers))]
    options.sort(key=lambda found: len(found[0]))
    ways: Iterator[tuple[tuple[str, ...], ...]] = (
        way for chosen in combinations(options, plan.needed) for way in product(*chosen)
    )
    merged = {tuple(sorted(mspid for part in way for mspid in part)) for way in islice(ways, _MAX_COMBINATIONS)}
    possible = [layout for layout in merged if all(peers[mspid] >= count for mspid, count in Counter(layout).items())]
    possible.sort(key=lambda layout: (len(layout), layout))
    return possible[:MAX_MINIMAL_LAYOUTS]


def _fewest(plan: _Plan, exists: Callable[[Principal], bool]) -> int | None:
    if plan.principal is not None:
        return 1 if exists(plan.principal) else None
    found = sorted(count for child in plan.children if (count := _fewest(child, exists)) is not None)
    return sum(found[: plan.needed]) if len(found) >= plan.needed else None


def _mspids(plan: _Plan) -> Iterator[str]:
    if plan.principal is not None:
        yield plan.principal.mspid
    for child in plan.children:
        yield from _mspids(child)


def _plan(root: Node) -> _Plan:
    contested = _contested(root)
    apart = isinstance(root, Gate) and root.apart  # its parts are policies, each of which was held to the bound
    if len(contested) > MAX_CONTESTED and not apart:
        raise MalformedPolicy(
            f"{len(contested)} principals of the policy compete for the same identities; at most {MAX_CONTESTED} may. "
            "Name each principal once, or put the alternatives into an OR."
        )
    return _prepare(root, (), contested)[0]


_Path = tuple[int, ...]
"""Where a node stands: the child numbers from the root."""


def _contested(root: Node) -> dict[_Path, set[_Path]]:
    """For each principal that may compete with others: the paths of those others."""
    rivals: dict[_Path, set[_Path]] = {}

    def visit(node: Node, path: _Path) -> list[tuple[_Path, Principal]]:
        if isinstance(node, Principal):
            return [(path, node)]
        below: list[tuple[_Path, Principal]] = []
        by_mspid: dict[str, list[tuple[_Path, Principal]]] = {}
        for number, child in enumerate(node.children):
            leaves = visit(child, (*path, number))
            if node.apart:
                continue  # what another child has counted is not spent for this one, nor for what stands outside
            # Of a gate that needs one child only one is ever asked: its children do not compete.
            for place, leaf in leaves if node.needed > 1 else ():
                for other_place, other in by_mspid.get(leaf.mspid, ()):
                    if leaf.role == other.role or "member" in {leaf.role, other.role}:
                        rivals.setdefault(place, set()).add(other_place)
                        rivals.setdefault(other_place, set()).add(place)
            for place, leaf in leaves:
                by_mspid.setdefault(leaf.mspid, []).append((place, leaf))
            below += leaves
        return below

    visit(root, ())
    return rivals


def _prepare(node: Node, path: _Path, rivals: Mapping[_Path, set[_Path]]) -> tuple[_Plan, set[_Path]]:
    """The plan of a node, and the rivals that its principals have outside it."""
    if isinstance(node, Principal):
        outside = set(rivals.get(path, ()))
        return _Plan(node, 0, (), free=not outside), outside
    prepared = [_prepare(child, (*path, number), rivals) for number, child in enumerate(node.children)]
    outside = {rival for _, below in prepared for rival in below if rival[: len(path)] != path}
    children = sorted((plan for plan, _ in prepared), key=lambda plan: not plan.free)
    return _Plan(None, node.needed, tuple(children), free=not outside), outside
