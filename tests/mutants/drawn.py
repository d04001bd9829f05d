"""Mutations drawn by cosmic-ray's operators: places are drawn first, then what is done to one."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from random import Random

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from tests.mutants.mutation import ROOT, Mutation

DRAWN_FROM = (
    "services/orderer/raft/core.py",
    "services/orderer/raft/election.py",
    "services/orderer/raft/replication.py",
    "services/orderer/raft/progress.py",
    "services/orderer/raft/log.py",
    "services/orderer/raft/group.py",
    "services/orderer/raft/wal.py",
    "services/orderer/raft/wal_records.py",
    "services/orderer/block_cutter.py",
    "services/orderer/block_store.py",
    "services/orderer/block_records.py",
    "services/orderer/catching_up.py",
    "services/orderer/chain.py",
    "services/orderer/sequencer.py",
    "services/orderer/submission.py",
    "gridledger/ledger/committer.py",
    "gridledger/protocol/commit_hash.py",
    "gridledger/ledger/lmdb_store.py",
    "gridledger/ledger/validation.py",
    "gridledger/ledger/world.py",
    "gridledger/identity/policy.py",
    "gridledger/identity/msp.py",
)
_LEFT_OUT = ("VariableReplacer", "VariableInserter", "RemoveDecorator", "ExceptionReplacer", "_Is_Eq", "_IsNot_NotEq")
"""The first two need names to be given. A decorator is slots, a cache or a property; an exception's name that does not
exist is seen by whatever comes there; of None and enum members ``is`` says what ``==`` does."""

_Place = tuple[str, tuple[int, int]]


def draw(count: int, seed: int) -> list[Mutation]:
    """``count`` mutations of different places; the same seed and tree give the same ones."""
    random = Random(seed)
    by_place: dict[_Place, list[tuple[str, int]]] = defaultdict(list)
    for path in DRAWN_FROM:
        for position, operator, occurrence in _possible(ROOT / path):
            by_place[path, position].append((operator, occurrence))
    drawn = []
    for place in random.sample(sorted(by_place), len(by_place)):
        mutation = _mutation(place, *random.choice(by_place[place]))
        if mutation is not None:
            drawn.append(mutation)
        if len(drawn) == count:
            break
    return drawn


def _possible(path: Path) -> list[tuple[tuple[int, int], str, int]]:
    source = path.read_text()
    tree, spared = get_ast(source), _without_effect(source)
    found = []
    for name in sorted(cosmic_ray.plugins.operator_names()):
        if name.endswith(_LEFT_OUT):
            continue
        operator = cosmic_ray.plugins.get_operator(name)()
        positions = [start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)]
        found += [(start, name, number) for number, start in enumerate(positions) if not _within(start, spared)]
    return found


def _without_effect(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations stand, which nothing reads, what is logged, what is said in texts, how a class is laid out."""
    spans = []
    for node in ast.walk(ast.parse(source)):
        inert = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("_log.", "dataclass"))
        ):
            inert.append(node)
        spans += [
            ((part.lineno, part.col_offset), (part.end_lineno or 0, part.end_col_offset or 0))
            for part in inert
            if isinstance(part, ast.expr)
        ]
    return spans


def _within(position: tuple[int, int], spans: list[tuple[tuple[int, int], tuple[int, int]]]) -> bool:
    return any(start <= position < end for start, end in spans)


def _mutation(place: _Place, operator_name: str, occurrence: int) -> Mutation | None:
    path, (line, _) = place
    source = (ROOT / path).read_text()
    mutated = mutate_code(source, cosmic_ray.plugins.get_operator(operator_name)(), occurrence)
    if mutated is None or mutated == source:
        return None
    try:
        ast.parse(mutated)
    except SyntaxError:
        return None
    return Mutation(path, f"{operator_name.removeprefix('core/')} at line {line}", source, mutated)
