"""Recorded PMU data, from CSV and Parquet: the same frames as from PMUs that send now."""

from __future__ import annotations
