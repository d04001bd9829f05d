"""The loader: imports a chaincode folder, which need not be installed, and finds the contract in it.

The folder is the package: an ``__init__.py`` is optional, relative imports work, and ``contract.py`` (or, without one,
``__init__.py``) holds the classes. Several contract classes are served as one; their functions may not share a name.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Mapping
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from gridledger.contract.annotations import AnnotationError, DeclaredTypes
from gridledger.contract.api import Contract, Function
from gridledger.contract.metadata import system_functions
from gridledger.errors import InputError

MAIN_MODULES: Final = ("contract", "__init__")
_MAX_SAID_CHARACTERS: Final = 300


class ChaincodeLoadError(InputError):
    """A chaincode folder cannot be imported, or holds no contract."""

    code = "CHAINCODE_NOT_LOADED"


class Chaincode:
    """The functions of all contracts of one package, each with the instance that serves it.

    Raises :class:`ChaincodeLoadError` for functions of one name, and for annotations that declare no JSON type.
    """

    def __init__(self, contracts: list[Contract]) -> None:
        functions: dict[str, tuple[Contract, Function]] = {}
        types = DeclaredTypes()
        for contract in contracts:
            for name, function in contract.functions.items():
                if name in functions:
                    one, two = type(functions[name][0]).__name__, type(contract).__name__
                    raise ChaincodeLoadError(f"the function {name!r} is in {one} and in {two}; rename one of them")
                functions[name] = (contract, function)
                try:
                    function.declare(types)
                except AnnotationError as error:
                    raise ChaincodeLoadError(f"{type(contract).__name__}.{error}") from None
        self.contracts = contracts
        self.functions: Mapping[str, tuple[Contract, Function]] = functions
        self._all = functions | system_functions(contracts)

    def find(self, name: str) -> tuple[Contract, Function | None]:
        """The contract that answers a call of ``name``, and the function if it has one of that name."""
        return self._all.get(name) or (self.contracts[0], None)


def load(folder: Path) -> Chaincode:
    """Import the chaincode in ``folder``; :class:`ChaincodeLoadError` says what is missing or failed.

    An exception of the chaincode's own code at import is the cause of the error (``__cause__``). The message is one
    line and names the file in the package, so that it is the same wherever the package lies.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise ChaincodeLoadError(f"{folder} is not a folder")
    main = next((name for name in MAIN_MODULES if (folder / f"{name}.py").is_file()), None)
    if main is None:
        raise ChaincodeLoadError(f"{folder} has neither contract.py nor __init__.py; put the contract into contract.py")
    try:
        package = _import_package(folder)
        module = package if main == "__init__" else importlib.import_module(f"{package.__name__}.{main}")
        contracts = _contracts_of(module, package)
        if not contracts:
            raise ChaincodeLoadError(f"{main}.py holds no subclass of Contract with a @transaction")
        return Chaincode(contracts)
    except ChaincodeLoadError:
        raise
    except (Exception, SystemExit) as error:
        raise ChaincodeLoadError(_explain(error, folder)) from error


def _import_package(folder: Path) -> ModuleType:
    """The folder as a package under a name of its own, so that two folders of the same name do not meet."""
    name = _package_name(folder)
    if name in sys.modules:
        return sys.modules[name]
    init = folder / "__init__.py"
    spec: ModuleSpec | None
    if init.is_file():
        spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    if spec is None:
        raise ImportError(f"{init} cannot be imported")
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    try:
        if spec.loader is not None:
            spec.loader.exec_module(package)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return package


def _package_name(folder: Path) -> str:
    return f"_chaincode_{sha256(str(folder).encode()).hexdigest()[:16]}"


def _explain(error: BaseException, folder: Path) -> str:
    """Where in the package an exception came from, its type, and its message: in one line, within bounds."""
    place: tuple[str, int | None] | None = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if Path(frame.f_code.co_filename).is_relative_to(folder):
            place = frame.f_code.co_filename, line
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(folder):
        place = error.filename, error.lineno
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # the author's own __str__
        message = ""
    message = message.replace(f"{folder}/", "").replace(_package_name(folder), folder.name)
    where = "" if place is None else f"{Path(place[0]).relative_to(folder).as_posix()}, line {place[1]}: "
    return one_line(f"{where}{type(error).__name__}: {message}").removesuffix(":")


def one_line(text: str) -> str:
    """A text of the chaincode's as a message may show it: one line, printable, within bounds."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[:_MAX_SAID_CHARACTERS])
    return " ".join(printable.split())


def _contracts_of(module: ModuleType, package: ModuleType) -> list[Contract]:
    """One instance of each contract class that the main module shows and the package defines.

    Base classes with subclasses beside them are not instantiated: the subclass has their functions.
    """
    classes: list[type[Any]] = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Contract)
        and value.functions
        and value.__module__.partition(".")[0] == package.__name__
    ]
    unique = list(dict.fromkeys(classes))
    return [cls() for cls in unique if not any(other is not cls and issubclass(other, cls) for other in unique)]
