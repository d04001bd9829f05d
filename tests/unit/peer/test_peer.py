"""A peer that is being stopped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.peer.errors import PeerStopping
from services.peer.peer import Peer


async def test_a_peer_that_stops_endorses_no_more() -> None:
    stopping = cast("Any", SimpleNamespace(stopping=True))
    with pytest.raises(PeerStopping):
        await Peer.endorse(stopping, cast("Any", None))
