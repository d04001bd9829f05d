"""Files of a folder count where they are the ledger's batches, whatever they are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.errors import InputError
from services.case.batch_files import read_batches
from tests.support.batch_file import Columns, in_folder

FIRST: Columns = {"time_us": [1, 2], "frequency": [50.0, 50.5]}
SECOND: Columns = {"time_us": [3], "V_mag": [1.5]}


def test_rows_are_put_together_by_device_in_the_order_of_the_batches(tmp_path: Path) -> None:
    second, first = in_folder(tmp_path, "pmu-1", 2, SECOND), in_folder(tmp_path, "pmu-1", 1, FIRST)
    other = in_folder(tmp_path, "pmu-2", 1, {"time_us": [9]})
    (tmp_path / "pmu-1" / "00000001.parquet").rename(tmp_path / "renamed.parquet")
    found = read_batches(tmp_path, [second, other, first])
    assert found.columns == {
        "pmu-1": {"time_us": [1, 2, 3], "frequency": [50.0, 50.5, None], "V_mag": [None, None, 1.5]},
        "pmu-2": {"time_us": [9]},
    }
    assert [row.seq for row in found.used] == [1, 2, 1]
    assert found.notes() == []


def test_a_changed_file_and_one_that_is_not_there_are_told(tmp_path: Path) -> None:
    first, second = in_folder(tmp_path, "pmu-1", 1, FIRST), in_folder(tmp_path, "pmu-1", 2, SECOND)
    file = tmp_path / "pmu-1" / "00000001.parquet"
    data = bytearray(file.read_bytes())
    data[40] ^= 1
    file.write_bytes(data)
    found = read_batches(tmp_path, [first, second])
    assert found.columns == {"pmu-1": {"time_us": [3], "V_mag": [1.5]}}
    assert found.missing == [first]
    assert found.notes() == [
        "1 batches have no file, the first pmu-1/1",
        "1 files are none of the case's batches: they were changed, or belong elsewhere",
    ]


def test_rows_that_do_not_give_the_root_are_refused(tmp_path: Path) -> None:
    row, other = in_folder(tmp_path, "pmu-1", 1, FIRST), in_folder(tmp_path / "other", "pmu-1", 1, SECOND)
    lied = replace(row, text=jsontext.dumps({**row.details, "root": other.details["root"]}).decode())
    found = read_batches(tmp_path, [lied])
    assert found.columns == {}
    assert "do not give the root" in found.refused[0]


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file that ends with \.parquet"):
        read_batches(tmp_path, [])
    with pytest.raises(InputError, match=r"\.parquet"):
        read_batches(tmp_path / "nowhere", [])
