"""What a report says of its machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.machine import processor


def test_a_processors_type_has_family_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual machines name different processors "AMD EPYC"; their libraries' bits differ."""
    said = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel\t\t: 1\n"
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: said)
    assert processor() == "AMD EPYC (family 25, model 17)"


def test_a_processor_without_family_is_named_as_the_system_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: "processor\t: 0\nmodel name\t: ARMv8\n")
    assert processor() == "ARMv8"
