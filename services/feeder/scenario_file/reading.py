"""Reading a scenario file: its form, and the line of each member for what a grid will say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from gridledger.errors import InputError
from gridledger.yaml_file import YamlFile, parse_yaml, read_text
from services.feeder.scenario_file.form import ScenarioForm

MAX_BYTES: Final = 512 * 1024
_WHAT: Final = "a scenario"


class ScenarioFile:
    """A scenario as its file has it."""

    def __init__(self, path: Path, form: ScenarioForm, lines: YamlFile) -> None:
        self.path = path
        self.form = form
        self._lines = lines

    def fault(self, member: str, why: str) -> InputError:
        """The error that names the file, a member and its line."""
        return InputError(f"{self.path}: {self._lines.fault(member, why).message}")

    @contextmanager
    def blaming(self, member: str) -> Iterator[None]:
        """In the block an InputError is about this member."""
        try:
            yield
        except InputError as error:
            raise self.fault(member, error.message) from None

    def beside(self, name: str) -> Path:
        """A file that this one names: relative to its own folder."""
        return self.path.parent / name


def read_scenario(path: Path) -> ScenarioFile:
    """Read a scenario file; :class:`InputError` in one line where its form does not hold."""
    return _scenario(path, read_text(path, what=_WHAT, most=MAX_BYTES))


def scenario_of_members(members: Mapping[str, Any]) -> ScenarioFile:
    """The scenario that a file with these members would have; files that it names are in the working folder."""
    return _scenario(Path("scenario"), yaml.safe_dump(dict(members), sort_keys=False))


def _scenario(path: Path, text: str) -> ScenarioFile:
    try:
        parsed = parse_yaml(text, what=_WHAT, members="name, title, case")
        return ScenarioFile(path, parsed.check_form(ScenarioForm), parsed)
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from None
