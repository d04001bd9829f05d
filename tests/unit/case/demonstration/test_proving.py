"""What is proved, and the environment of whoever verifies it."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path

from gridledger.evidence.package import VERIFIER
from services.case.demonstration.proving import evidence_of, verify_elsewhere
from services.case.replay.ukraine2015 import story
from tests.support.played_story import rows_of_story

_SAYS = """
import importlib.util, socket, sys
import cryptography
others = [name for name in ("numpy", "aiohttp", "gridledger", "services") if importlib.util.find_spec(name)]
try:
    socket.create_connection(("127.0.0.1", 9), 1)
    reached = True
except ConnectionRefusedError:
    reached = True
except OSError:
    reached = False
print(f"others={others} reached={reached} arguments={sys.argv[2:]}")
sys.exit(7)
"""


def test_the_evidence_is_the_foreign_logins_and_the_openings() -> None:
    told = story(2015, quantity=0.2)
    rows = rows_of_story(told)
    wanted = evidence_of(rows, told.truth)
    by_tx = {row.tx_id: row for row in rows}
    kinds = [by_tx[tx].kind for tx in wanted]
    assert kinds.count("session-opened") == len(told.truth.sessions) == 9
    assert [by_tx[tx].device for tx in wanted if by_tx[tx].kind == "command-issued"] == list(told.truth.openings)
    assert len(wanted) <= 50


def test_the_verifier_runs_with_cryptography_alone_and_where_it_can_without_a_network(tmp_path: Path) -> None:
    package, roots = tmp_path / "case.zip", tmp_path / "roots"
    with zipfile.ZipFile(package, "w") as made:
        made.writestr(VERIFIER, _SAYS)
    verified = asyncio.run(verify_elsewhere(package, roots, tmp_path / "empty"))
    assert verified.code == 7
    assert "others=[]" in verified.last
    assert f"'{roots}'" in verified.last
    assert f"reached={not verified.cut_off}" in verified.last
