"""The article's chain, against the values that its figure 3 prints."""

from __future__ import annotations

import random

from benchmarks.article.chain import captures_of, genesis, hash_of, is_proof, is_valid, proof_after
from benchmarks.article.network import capture_text, chain_of

_PRINTED = [1, 533, 45293, 21391]


def test_proofs_are_those_that_figure_3_prints():
    proofs = [1]
    while len(proofs) < len(_PRINTED):
        proofs.append(proof_after(proofs[-1]))
    assert proofs == _PRINTED


def test_the_genesis_of_figure_3_has_its_hash():
    printed = "81c5919c6a13b571179148a20f58a82e82f3b3a5a8fa2d75236d67907cc0075b"
    assert hash_of(genesis("2021-09-28 06:58:11.088496")) == printed


def test_a_proof_of_another_predecessor_is_none():
    assert is_proof(533, 1)
    assert not is_proof(533, 2)


def test_a_changed_capture_breaks_the_chain():
    chain = chain_of(3, list(_PRINTED), "Red_BKC_NODO_5005")
    assert is_valid(chain)
    chain[1]["5_transactions"][0]["B. Servidor"] = "Red_BKC_NODO_5006"
    assert not is_valid(chain)


def test_a_changed_proof_breaks_the_chain():
    chain = chain_of(2, list(_PRINTED), "Red_BKC_NODO_5005")
    chain[-1]["3_proof"] += 1
    assert not is_valid(chain)


def test_a_prefilled_chain_has_each_minute_once():
    captures = captures_of(chain_of(3, list(_PRINTED), "Red_BKC_NODO_5005"))
    assert captures == ["28 09 2021 06 55", "28 09 2021 06 56", "28 09 2021 06 57"]


def test_a_capture_is_in_the_form_of_figure_2():
    lines = capture_text(0, random.Random(1)).splitlines()
    assert lines[:2] == ["28 09 2021 06 58", "Relay 1"]
    assert lines[4].startswith("Openings caused by faults: ")
    assert len(lines) == 12
    assert lines[-1].startswith("Time Stamp;28 09 2021 06 58 50;Vab;")
