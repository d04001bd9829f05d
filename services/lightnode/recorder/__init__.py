"""The flight recorder: events on the disk before they are answered for, until the ledger has them, and as long after
that as there is room."""

from __future__ import annotations
