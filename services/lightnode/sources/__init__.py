"""Where events come from beside HTTP: files in a folder, Modbus, and PMUs by C37.118."""

from __future__ import annotations
