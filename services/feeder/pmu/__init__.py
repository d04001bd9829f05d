"""Phasor measurement units: the grid's own, which speak C37.118, and the data concentrator (PDC) that reads PMUs."""

from __future__ import annotations
