"""The folder of an orderer that is alone on its channel: identity, genesis block, settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gridledger import jsontext
from gridledger.incarnation import Incarnation
from services.orderer.settings import OrdererSettings, RaftTiming
from tests.support.paper import PaperNetwork, genesis_block

CHANNEL = "shard1"


def lone_orderer(folder: Path, paper: PaperNetwork, raft: RaftTiming | None = None) -> OrdererSettings:
    """Write the folder of orderer1, the only one; its settings are in ``config.json`` too."""
    config = replace(paper.config, orderers={"orderer1": paper.config.orderers["orderer1"]})
    paper.organisations["OrdererMSP"].furnish(paper.orderers["orderer1"], folder / "msp")
    (folder / "roots.pem").write_text("".join(msp.roots[0] for msp in config.organisations.values()))
    (folder / "genesis").mkdir()
    (folder / "genesis" / f"{CHANNEL}.genesis").write_bytes(genesis_block(config).to_bytes())
    settings = OrdererSettings(
        name="orderer1",
        mspid="OrdererMSP",
        host="127.0.0.1",
        port=1,
        data=folder / "data",
        identity=folder / "msp",
        genesis=folder / "genesis",
        roots=folder / "roots.pem",
        channels=[CHANNEL],
        raft=raft or RaftTiming(),
    )
    Incarnation("orderer1", "0badcafe").write(folder / "data")
    (folder / "config.json").write_bytes(jsontext.dumps(settings.model_dump(mode="json")))
    return settings
