"""MATPOWER's cases in MATLAB's binary format (.mat) and as workbooks (.xlsx) as matpowercaseframes writes them.

The libraries that read these formats trust what they read: call this in the child of :mod:`.child` only.
"""

from __future__ import annotations

import warnings
import zlib
from io import BytesIO
from typing import Any, Literal
from zipfile import ZipFile

import numpy as np

from gridledger.grid.case_files.tables import CaseFileError, CaseTables, table_of

MAX_INFLATED = 512 * 1024 * 1024
"""Bytes that a file may have once it is inflated."""
_TABLES = ("bus", "gen", "branch")
_MAT_HEAD, _MAT_TAG, _COMPRESSED = 128, 8, 15
_AT_ONCE = 4 * 1024 * 1024


def tables_of_mat(name: str, data: bytes) -> CaseTables:
    """The tables of a .mat file with a struct ``mpc``, or with the only struct there is. Raises CaseFileError."""
    from scipy.io import loadmat  # noqa: PLC0415 -- reads none of the other formats

    _refuse_too_large(name, _inflated_mat(data))
    try:
        variables = loadmat(BytesIO(data))
    except MemoryError:
        raise
    except NotImplementedError:
        raise CaseFileError(f"{name}: MATLAB's format 7.3 is not read: write it with save -v7") from None
    except Exception as error:
        raise CaseFileError(f"{name}: no MATLAB file that can be read: {error}") from None
    structs = {key: value for key, value in variables.items() if getattr(value, "dtype", np.dtype(float)).names}
    mpc = structs.get("mpc") if "mpc" in structs else next(iter(structs.values()), None)
    fields = () if mpc is None or mpc.size != 1 or mpc.dtype.names is None else mpc.dtype.names
    return _tables(name, {field: mpc[field].item() for field in fields} if mpc is not None else {})


def tables_of_workbook(name: str, data: bytes) -> CaseTables:
    """The tables of a workbook with the sheets info, bus, gen and branch. Raises CaseFileError."""
    import pandas  # noqa: PLC0415 -- takes half a second

    try:
        with ZipFile(BytesIO(data)) as archive:
            _refuse_too_large(name, sum(member.file_size for member in archive.infolist()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl tells of styles that it does not know
            sheets = pandas.read_excel(BytesIO(data), index_col=0, sheet_name=None)
        parts = {table: sheets[table].to_numpy() for table in _TABLES if table in sheets}
        if "info" in sheets:
            parts["baseMVA"] = sheets["info"].loc["baseMVA", "INFO"]
    except (CaseFileError, ImportError, MemoryError):
        raise
    except Exception as error:
        raise CaseFileError(f"{name}: no workbook that can be read: {error}") from None
    return _tables(name, parts)


def _refuse_too_large(name: str, inflated: int) -> None:
    if inflated > MAX_INFLATED:
        raise CaseFileError(f"{name}: is larger than {MAX_INFLATED // 2**20} MiB once inflated; no case is so large")


def _inflated_mat(data: bytes) -> int:
    """How many bytes the compressed elements of a .mat file have; counted to somewhat more than is allowed."""
    order: Literal["little", "big"] = "little" if data[_MAT_HEAD - 2 : _MAT_HEAD] == b"IM" else "big"
    at, inflated = _MAT_HEAD, 0
    while at + _MAT_TAG <= len(data) and inflated <= MAX_INFLATED:
        kind, size = (int.from_bytes(data[at + place : at + place + 4], order) for place in (0, 4))
        at += _MAT_TAG
        if kind == _COMPRESSED:
            inflated += _inflated(data[at : at + size], MAX_INFLATED - inflated)
        at += size
    return inflated


def _inflated(data: bytes, most: int) -> int:
    """Bytes of a zlib stream, up to somewhat more than ``most``."""
    inflater, found = zlib.decompressobj(), 0
    try:
        while found <= most and (part := inflater.decompress(data, _AT_ONCE)):
            found += len(part)
            data = inflater.unconsumed_tail
    except zlib.error:
        pass  # loadmat tells of it
    return found


def _tables(name: str, parts: dict[str, Any]) -> CaseTables:
    missing = [part for part in ("baseMVA", *_TABLES) if part not in parts]
    if missing:
        raise CaseFileError(f"{name}: there is no {' and no '.join(missing)} in it")
    try:
        base_mva = float(np.asarray(parts["baseMVA"], dtype=np.float64).item())
    except (TypeError, ValueError):
        raise CaseFileError(f"{name}: baseMVA is no number") from None
    for table in _TABLES:
        if getattr(parts[table], "ndim", 0) != 2:  # noqa: PLR2004 -- rows and columns
            raise CaseFileError(f"{name}: {table} is no table")
    return CaseTables(name, base_mva, *(table_of(name, table, parts[table].tolist()) for table in _TABLES))
