"""Readers of relays: what a server knows of a relay's protocol.

:func:`open_reader` gives the reader of a relay as it is registered. The modules of Modbus and IEC 61850 are imported
when a relay speaks them: their packages belong to the extra ``relay``.
"""

from __future__ import annotations

from services.relay.readers.errors import RelayAnswerBad, RelayUnreachable, in_brief
from services.relay.readers.opening import open_reader
from services.relay.readers.reader import Delivered, Held, Reader

__all__ = ["Delivered", "Held", "Reader", "RelayAnswerBad", "RelayUnreachable", "in_brief", "open_reader"]
