"""The article's chain form: the values of its Fig. 3, and what a verified chain cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from gridledger import jsontext
from services.relay.article import (
    ArticleCapture,
    block_hash,
    blocks_of,
    chain_of,
    first_proof_from,
    genesis_block,
    is_proof,
    next_proof,
    verify_chain,
)
from services.relay.errors import ArticleChainBad
from tests.support.call_count import calls_of

GENESIS_US = int(datetime(2021, 9, 28, 6, 58, 11, 88496, UTC).timestamp()) * 1_000_000 + 88496
PROOFS = [1, 533, 45293, 21391, 8018]
CAPTURES = [ArticleCapture("Rele_1", "5005", f"28 09 2021 06 5{n}\nBogotá", GENESIS_US + n) for n in range(3)]


def chain() -> dict[str, Any]:
    return chain_of(blocks_of(CAPTURES, GENESIS_US))


def test_the_genesis_has_the_hash_that_figure_3_prints() -> None:
    genesis = genesis_block(GENESIS_US)
    assert genesis["2_Estampa_de_tiempo"] == "2021-09-28 06:58:11.088496"
    assert block_hash(genesis) == "81c5919c6a13b571179148a20f58a82e82f3b3a5a8fa2d75236d67907cc0075b"


def test_the_proofs_are_those_that_figure_3_prints() -> None:
    assert [next_proof(proof) for proof in PROOFS[:-1]] == PROOFS[1:]
    assert all(is_proof(after, before) for before, after in pairwise(PROOFS))
    assert not is_proof(534, 1)


def test_a_proof_is_found_in_slices_too() -> None:
    assert first_proof_from(1, 532, 1) is None
    assert first_proof_from(533, 1, 1) == 533


def test_a_chain_of_captures_is_verified() -> None:
    made = chain()
    assert made["1_length"] == 4
    assert [block["3_proof"] for block in made["2_chain"]] == PROOFS[:4]
    assert made["2_chain"][1]["5_transactions"] == [
        {"A. Equipo": "Rele_1", "B. Servidor": "Red_BKC_NODO_5005", "C. Informacion": CAPTURES[0].text}
    ]
    head = block_hash(made["2_chain"][-1])
    for text in (jsontext.dumps(made), json.dumps(made, indent=2).encode()):
        assert verify_chain(text) == {"length": 4, "head": head}


def _alter_text(made: dict[str, Any]) -> None:
    made["2_chain"][1]["5_transactions"][0]["C. Informacion"] += " "


def _alter_proof(made: dict[str, Any]) -> None:
    made["2_chain"][3]["3_proof"] += 1


def _cut(made: dict[str, Any]) -> None:
    del made["2_chain"][2]
    made["1_length"] = 3


def _name_another_length(made: dict[str, Any]) -> None:
    made["1_length"] = 5


def _leave_a_member_out(made: dict[str, Any]) -> None:
    del made["2_chain"][2]["3_proof"]


def _give_a_text_for_a_number(made: dict[str, Any]) -> None:
    made["2_chain"][2]["3_proof"] = "45293"


def _begin_elsewhere(made: dict[str, Any]) -> None:
    made["2_chain"][0]["5_transactions"] = ["Genesis"]


def _keep_the_genesis_only_as_a_text(made: dict[str, Any]) -> None:
    made["2_chain"] = "Bloque Génesis"


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (_alter_text, "block 3, 4_previous_hash"),
        (_alter_proof, "block 4, 3_proof"),
        (_cut, "block 3, 1_Index"),
        (_name_another_length, "1_length"),
        (_leave_a_member_out, "block 3: a block has"),
        (_give_a_text_for_a_number, "block 3, 3_proof"),
        (_begin_elsewhere, "block 1, 5_transactions"),
        (_keep_the_genesis_only_as_a_text, "2_chain"),
    ],
)
def test_an_altered_chain_is_refused_with_its_block(alter: Callable[[dict[str, Any]], None], told: str) -> None:
    made = chain()
    alter(made)
    with pytest.raises(ArticleChainBad, match=told):
        verify_chain(jsontext.dumps(made))


def _take_a_later_proof(made: dict[str, Any]) -> None:
    block, previous = made["2_chain"][3], made["2_chain"][2]
    block["3_proof"] = first_proof_from(block["3_proof"] + 1, 2_000_000, previous["3_proof"])


def test_a_proof_that_is_not_the_least_is_refused() -> None:
    made = chain()
    _take_a_later_proof(made)
    assert is_proof(made["2_chain"][3]["3_proof"], PROOFS[2])
    with pytest.raises(ArticleChainBad, match=r"block 4, 3_proof: [0-9]+ is not the least proof, which is 21391"):
        verify_chain(jsontext.dumps(made))


@pytest.mark.parametrize(
    "time", ["no time", "", "2021-09-28", "2021-02-30 06:58:11.088496", "2021-09-28 24:00:00", "2021-09-28 06:58:60",
             "2021-09-28 06:58:11.08849", "2021-09-28T06:58:11.088496", "2021-09-28 06:58:1\u0661", 1, None],
)  # fmt: skip
def test_a_time_that_is_none_is_refused(time: Any) -> None:
    made = chain()
    made["2_chain"][3]["2_Estampa_de_tiempo"] = time
    with pytest.raises(ArticleChainBad, match="block 4, 2_Estampa_de_tiempo: must be a time such as"):
        verify_chain(json.dumps(made).encode())


def test_a_time_without_microseconds_is_one() -> None:
    made = chain()
    made["2_chain"][3]["2_Estampa_de_tiempo"] = "2021-09-28 06:58:11"
    assert verify_chain(jsontext.dumps(made))["length"] == 4


@pytest.mark.parametrize("member", ["A. Equipo", "B. Servidor", "C. Informacion"])
def test_half_a_character_is_refused(member: str) -> None:
    made = chain()
    made["2_chain"][3]["5_transactions"][0][member] = "Rele\ud800"
    with pytest.raises(ArticleChainBad, match=f"block 4, {member}: has half a character"):
        verify_chain(json.dumps(made).encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
def test_a_chain_in_another_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(ArticleChainBad, match="bytes: not the JSON of a chain"):
        verify_chain(json.dumps(chain()).encode(encoding))
    assert verify_chain(json.dumps(chain()).encode("utf-8-sig"))["length"] == 4


def test_a_proof_is_looked_for_once() -> None:
    made = chain()
    verify_chain(jsontext.dumps(made))
    assert calls_of(lambda: verify_chain(jsontext.dumps(made))) < 10_000


@pytest.mark.deep
def test_the_proofs_repeat_after_225() -> None:
    proofs = [1]
    while (proof := next_proof(proofs[-1])) not in proofs:
        proofs.append(proof)
    assert (len(proofs), proofs.index(proof)) == (225, 67)


def test_a_capture_that_comes_twice_is_refused() -> None:
    made = chain_of(blocks_of([*CAPTURES, CAPTURES[1]], GENESIS_US))
    with pytest.raises(ArticleChainBad, match="block 5, 5_transactions: the capture is in the chain already"):
        verify_chain(jsontext.dumps(made))


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"1_length": NaN, "2_chain": []}', b"[" * 100_000, b"\xff"])
def test_a_text_that_is_no_chain_is_refused(text: bytes) -> None:
    with pytest.raises(ArticleChainBad) as refused:
        verify_chain(text)
    assert refused.value.code == "BAD_ARTICLE_CHAIN"
