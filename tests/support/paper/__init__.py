"""A network on paper, for tests: organisations, identities, a channel and its chain, with real keys and no process."""

from __future__ import annotations

from tests.support.paper.chain import PaperChain, PaperPeer, signed_block
from tests.support.paper.messages import endorse, signed_proposal, signed_transaction, with_high_s
from tests.support.paper.network import NOW_US, PaperNetwork, genesis_block, paper_policies
from tests.support.paper.organisation import PaperOrganisation

__all__ = [
    "NOW_US",
    "PaperChain",
    "PaperNetwork",
    "PaperOrganisation",
    "PaperPeer",
    "endorse",
    "genesis_block",
    "paper_policies",
    "signed_block",
    "signed_proposal",
    "signed_transaction",
    "with_high_s",
]
