from __future__ import annotations

import pytest

from benchmarks.forensics.tables import year_table
from benchmarks.forensics.year import SOURCE_BYTES, Measured, devices

FIGURES = Measured(
    event={"blocks": 3000, "folder": 2000},
    grouped={"blocks": 700, "folder": 600},
    batch={"blocks": 5000, "folder": 6000},
    gathered={"blocks": 3000, "folder": 3500},
    value=2.5,
)


def test_a_year_of_each_device_is_what_it_tells_times_what_that_takes():
    gathered, alone, frames, relay, meter, *_ = devices(FIGURES)
    assert gathered.files == 12 * 2.5 * 50 * 365 * 86_400
    assert gathered.blocks == 525_600 * 3000
    assert alone.folder == 525_600 * 6000
    assert frames.blocks == 50 * 365 * 86_400 * 3000
    assert relay.blocks == 36_500 * 3000
    assert meter.folder == 96 * 365 * 2000
    assert gathered.all == gathered.files + gathered.folder


def test_the_table_tells_how_many_devices_fill_the_article_s_bytes():
    first = devices(FIGURES)[0]
    line = year_table([first], SOURCE_BYTES, 700).splitlines()[2]
    assert line.startswith("| PMU |")
    assert "| 47.3 GB | 1.58 GB | 1.84 GB |" in line
    assert float(line.split("|")[6].replace(",", "")) == pytest.approx(60e12 / first.all, abs=1)
