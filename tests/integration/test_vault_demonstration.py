"""The vault's demonstration as a person starts it, and then: no part of a share stands on any of its peers' ledgers."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gridledger.ledger import Ledger
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import load_network_config
from tests.support.ledger_search import ShareSearch, elements_of, pieces_of
from tests.support.network_configs import with_free_ports
from tests.support.processes import REPOSITORY, running

SUBSTATION = REPOSITORY / "network-config" / "substation-vault.yaml"
CHANNEL = "vault"
PEERS = ("arrester-peer", "base-peer", "breaker-peer", "mutual-peer", "security-peer", "transformer-peer")

pytestmark = [pytest.mark.integration, pytest.mark.deep, pytest.mark.timeout(900)]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One that was run: how its command ended, and where its files are."""

    code: int
    said: str
    erred: str
    out: Path
    folder: NetworkFolder


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    place = tmp_path_factory.mktemp("vault")
    config = load_network_config(SUBSTATION)
    offset = with_free_ports(config).ca.port - config.ca.port
    arguments = ["--dir", str(place / "net"), "--out", str(place / "out"), "--port-offset", str(offset)]
    command = [sys.executable, "-m", "services.vault", "demo", "--periods", "60", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False)
    yield Demonstration(done.returncode, done.stdout, done.stderr, place / "out", NetworkFolder(place / "net"))
    assert running(str(place / "net")) == []


def test_each_step_ends_as_it_must(shown: Demonstration) -> None:
    assert shown.code == 0, shown.said + shown.erred
    assert shown.erred == ""
    summary = json.loads((shown.out / "summary.json").read_bytes())
    assert summary["passed"]
    assert all(each["held"] for each in summary["expectations"])
    steps = list(dict.fromkeys(each["step"] for each in summary["expectations"]))
    assert len(steps) == 18
    assert f"All {len(summary['expectations'])} expectations held" in shown.said
    assert [each["id"] for each in summary["ids_tried"]] == ["0", "102", "(P - 1)/2", "106"]
    found = summary["collusion"]
    assert (found["left_article"], found["left_sealed"], found["candidates"]) == ([found["truth"]], [], 9001)
    assert {each["dead"] for each in summary["recovery"] if each["cluster"] == "M3"} == set(range(10))
    assert {"repair", "reshare", "audit"} >= {each["purpose"] for each in summary["reads"]} - {"look at the substation"}
    (channel,) = summary["channels"].values()
    assert len({peer["commit_hash"] for peer in channel["peers"].values()}) == 1


def test_the_report_is_one_file_with_its_figures_beside_it(shown: Demonstration) -> None:
    page = (shown.out / "report.html").read_text(encoding="utf-8")
    assert "expectations held" in page
    assert page.count("<svg") == 5
    assert "src=" not in page
    assert "https://" not in page
    for name in ("storage", "recovery", "speed", "leak", "attack"):
        assert (shown.out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    with (shown.out / "storage.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["profile"] for row in rows} == {"sealed", "article", "shamir", "copies"}
    assert all(row["disk"] == row["formula"] for row in rows)


def test_no_part_of_a_share_stands_on_a_ledger(shown: Demonstration) -> None:
    """Every block and every key and value of every peer, for any 16 bytes of any share that a holder has, and for every
    element as decimal text."""
    shares = {f"{path.parent.parent.name}'s {path.name}": path.read_bytes() for path in share_files(shown.folder)}
    assert len(shares) > 80
    elements: list[int] = []
    profiles = profiles_of(shown.out)
    for name, share in shares.items():
        profile = profiles.get(name.partition("'s ")[2].rpartition(".")[0], "sealed")
        elements += elements_of(profile, share)
    search = ShareSearch(shares, elements)
    assert search.windows > 1_000_000
    assert search.elements > 10_000
    seen: set[bytes] = set()
    count = 0
    for peer in PEERS:
        with Ledger.open(ledgers(shown.folder, peer), CHANNEL, readonly=True) as ledger:
            pieces = list(pieces_of(ledger))
        count += len(pieces)
        fresh = [(name, data) for name, data in pieces if data not in seen]  # peers have the same blocks
        seen |= {data for _, data in fresh}
        assert search.find(fresh) == [], peer
    assert count > 6 * 300


def share_files(folder: NetworkFolder) -> list[Path]:
    """All shares on all holders' disks, those of the holder that came later included."""
    places = ("companions/*/data/*/shares/*", "vault/*/*/shares/*")
    return sorted(path for place in places for path in folder.root.glob(place))


def profiles_of(out: Path) -> dict[str, str]:
    """The profile of each object that was measured; those that came later are sealed."""
    with (out / "storage.csv").open(encoding="utf-8", newline="") as file:
        return {row["object"]: row["profile"] for row in csv.DictReader(file)}


def ledgers(folder: NetworkFolder, peer: str) -> Any:
    """Where a peer has its ledgers."""
    (found,) = {path.parent.parent for path in folder.node(peer).rglob("data.mdb") if path.parent.name == CHANNEL}
    return found
