"""``python -m tests.support.credulous_orderer``: an orderer that orders every envelope unjudged, and is honest
otherwise: what is wrong with one shows when its block is applied."""

from __future__ import annotations

import sys

from services.orderer import __main__ as orderer
from services.orderer import routes

if __name__ == "__main__":
    routes.check_submission = lambda *_: None  # type: ignore[attr-defined]
    sys.exit(orderer.main(sys.argv[1:]))
