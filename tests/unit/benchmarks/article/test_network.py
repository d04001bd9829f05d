"""The article's servers as processes: what its text says they do, with its weaknesses."""

from __future__ import annotations

import pytest

from benchmarks.article.network import running_article_network
from benchmarks.article_chain import main, prefilled, with_a_dead_node, with_two_at_once
from gridledger import jsontext


async def test_a_minute_reaches_every_node_once():
    async with running_article_network(2) as network:
        seconds, first = await network.update_s(0)
        again = await network.advance(1)
        _, second = await network.update_s(1)
        chains = await network.captures()
    assert seconds > 0
    assert (first["case"], again["case"], second["case"]) == ("first", "repeated", "new")
    assert chains == [["28 09 2021 06 58", "28 09 2021 06 59"]] * 2


async def test_a_dead_node_stops_the_others():
    told = await with_a_dead_node(2, 2)
    assert told["on the chain"] == 0
    assert [reason.split()[-2] for reason in told["stopped"]] == ["answer", "answer"]


async def test_two_nodes_that_mine_at_once_lose_a_minute():
    told = await with_two_at_once()
    assert told["lost"] == told["delivered"][:1]
    assert len(told["delivered"]) == 3


async def test_nodes_begin_with_a_chain_from_a_file(tmp_path):
    async with running_article_network(1, chain=prefilled(tmp_path, 2)) as network:
        _, told = await network.update_s(0)
        captures = await network.captures()
    assert told["case"] == "new"
    assert captures == [["28 09 2021 06 56", "28 09 2021 06 57", "28 09 2021 06 58"]]


def test_proofs_that_were_found_are_kept(tmp_path, monkeypatch):
    prefilled(tmp_path, 2)
    monkeypatch.setattr("benchmarks.article_chain.next_proof", {45293: 21391}.__getitem__)
    assert len(jsontext.loads(prefilled(tmp_path, 3).read_bytes())["2_chain"]) == 4
    assert prefilled(tmp_path, 1).exists()


def test_the_command_measures_and_writes_a_report(tmp_path, capsys):
    assert main(["--nodes", "1", "--lengths", "1", "--minutes", "2", "--out", str(tmp_path)]) == 0
    report = jsontext.loads((tmp_path / "article.json").read_bytes())
    assert [(row["nodes"], row["length"], row["minutes"]) for row in report["rows"]] == [(1, 1, 2)]
    assert report["rows"][0]["update"]["p50_ms"] > 0
    assert "With one of 4 nodes dead: 0 of 3 minutes" in capsys.readouterr().out


@pytest.fixture(autouse=True)
def _few_hashes(monkeypatch):
    """Prefilled chains need proofs: the article's are known."""
    monkeypatch.setattr("benchmarks.article_chain.next_proof", {1: 533, 533: 45293}.__getitem__)
