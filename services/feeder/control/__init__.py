"""Interactive control: commands that change a stream while it runs."""

from __future__ import annotations
