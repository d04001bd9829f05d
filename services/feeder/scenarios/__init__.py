"""The scenarios that come with the feeder, a file each."""

from __future__ import annotations
