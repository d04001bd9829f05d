"""Contracts and their transactions: the classes a chaincode author writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple, TypeVar, overload

from gridledger.contract.annotations import AnnotationError, DeclaredTypes
from gridledger.contract.context import Context
from gridledger.contract.errors import ContractError
from gridledger.contract.json_types import ANY, JsonType, Mismatch

Method = TypeVar("Method", bound=Callable[..., Any])

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_MARK: Final = "__gridledger_transaction__"
_POSITIONAL_DEFAULT: Final = "a transaction takes positional parameters only, after self and ctx"
_VARARGS: Final = 0x04
_VARKEYWORDS: Final = 0x08
_GENERATOR_OR_COROUTINE: Final = 0x20 | 0x80 | 0x200


class Parameter(NamedTuple):
    """A parameter of a transaction. ``repeated``: it takes all arguments that are left (``*names``)."""

    name: str
    type: JsonType
    repeated: bool = False


class Function:
    """One transaction of a contract: its public name, how to call it, and, once declared, what it takes."""

    __slots__ = (
        "_checked",
        "_is_checked",
        "_method",
        "_rest",
        "attribute",
        "declared",
        "least",
        "most",
        "name",
        "parameters",
        "readonly",
        "returns",
    )

    def __init__(self, name: str, attribute: str, method: Callable[..., Any], *, readonly: bool) -> None:
        code = getattr(method, "__code__", None)
        if code is None:
            raise TypeError(f"{attribute}: a transaction is a plain method")
        if code.co_flags & _GENERATOR_OR_COROUTINE:
            raise TypeError(f"{attribute}: a transaction is a plain method, neither async nor a generator")
        if code.co_flags & _VARKEYWORDS or code.co_kwonlyargcount:
            raise TypeError(f"{attribute}: {_POSITIONAL_DEFAULT}")
        if code.co_argcount < 2:  # noqa: PLR2004 - self and ctx
            raise TypeError(f"{attribute}: a transaction takes at least self and ctx")
        self.name = name
        self.attribute = attribute
        self.readonly = readonly
        self.parameters: tuple[str, ...] = code.co_varnames[2 : code.co_argcount]
        self.least: int = len(self.parameters) - len(getattr(method, "__defaults__", None) or ())
        self.most: int | None = None if code.co_flags & _VARARGS else len(self.parameters)
        self.declared: tuple[Parameter, ...] = ()
        self.returns: JsonType = ANY
        self._method = method
        self._is_checked = False
        self._checked: tuple[tuple[int, Parameter], ...] = ()
        self._rest: Parameter | None = None

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The values of the parameters that may be left out."""
        return dict(zip(self.parameters[self.least :], getattr(self._method, "__defaults__", None) or (), strict=True))

    @property
    def description(self) -> str:
        """The first line of the method's docstring."""
        return (getattr(self._method, "__doc__", None) or "").strip().partition("\n")[0].strip()

    def declare(self, types: DeclaredTypes) -> None:
        """Read the annotations: from now on arguments are checked. Raises :class:`AnnotationError`."""
        declared = [self._parameter(name, types) for name in self.parameters]
        if self.most is None:
            name = self._method.__code__.co_varnames[len(self.parameters) + 2]
            declared.append(self._parameter(name, types)._replace(repeated=True))
        self.declared = tuple(declared)
        checked = [(index, each) for index, each in enumerate(declared) if each.type is not ANY]
        self._is_checked = bool(checked)
        self._checked = tuple((index, each) for index, each in checked if not each.repeated)
        self._rest = next((each for _, each in checked if each.repeated), None)
        try:
            self.returns = types.of(self._method, "return")
        except AnnotationError:  # what is returned is not checked, so it may be declared as anything
            self.returns = ANY

    def _parameter(self, name: str, types: DeclaredTypes) -> Parameter:
        try:
            return Parameter(name, types.of(self._method, name))
        except AnnotationError as error:
            raise AnnotationError(f"{self.attribute}, parameter {name}: {error}") from None

    def check_arguments(self, args: Sequence[Any]) -> Sequence[Any]:
        """What the method is called with for these arguments.

        :class:`ContractError` shows what is taken where there are too few or too many, and names one of a wrong type.
        """
        if len(args) < self.least or (self.most is not None and len(args) > self.most):
            raise ContractError(f"{self.name} takes ({', '.join(self.parameters)}), {len(args)} argument(s) were given")
        return self._take(args) if self._is_checked else args

    def _take(self, args: Sequence[Any]) -> Sequence[Any]:
        taken = list(args)
        for index, parameter in self._checked:
            if index < len(taken):
                taken[index] = _take(parameter, taken[index])
        if self._rest is not None:
            first = len(self.parameters)
            taken[first:] = [_take(self._rest, each, f"[{n}]") for n, each in enumerate(taken[first:])]
        return taken


def _take(parameter: Parameter, value: Any, place: str = "") -> Any:
    try:
        return parameter.type.take(value)
    except Mismatch as mismatch:
        raise ContractError(f"{parameter.name}{place}{mismatch.path}: {mismatch.why}") from None


@overload
def transaction(method: Method, /) -> Method: ...
@overload
def transaction(*, name: str | None = None, readonly: bool = False) -> Callable[[Method], Method]: ...
def transaction(
    method: Method | None = None, /, *, name: str | None = None, readonly: bool = False
) -> Method | Callable[[Method], Method]:
    """Mark a method as a transaction. Its public name is ``name``, or the method's; ``readonly`` refuses writes."""

    def mark(target: Method) -> Method:
        public = name if name is not None else getattr(target, "__name__", "")
        if not _NAME.fullmatch(public):
            raise ValueError(f"{public!r} cannot name a transaction: a letter, then up to 63 of A-Z a-z 0-9 _ . -")
        setattr(target, _MARK, (public, readonly))
        return target

    return mark if method is None else mark(method)


class Contract:
    """Base of all contracts. A subclass marks its transactions with :func:`transaction`::

        class Counter(Contract):
            @transaction
            def add(self, ctx: Context, name: str, amount: int) -> int:
                total = (ctx.stub.get_state(name) or 0) + amount
                ctx.stub.put_state(name, total)
                return total

    One instance serves every call of a process, in no particular order: keep nothing in it, state is for the ledger.
    """

    functions: ClassVar[Mapping[str, Function]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        functions = dict(cls.functions)
        for attribute, value in vars(cls).items():
            mark = getattr(value, _MARK, None)
            if mark is None:
                continue
            name, readonly = mark
            known = functions.get(name)
            if known is not None and known.attribute != attribute:
                raise TypeError(f"{cls.__name__}: {known.attribute} and {attribute} are both named {name!r}")
            functions[name] = Function(name, attribute, value, readonly=readonly)
        cls.functions = functions

    def before_transaction(self, ctx: Context) -> None:
        """Runs before every transaction of this contract; raise :class:`ContractError` to refuse."""

    def after_transaction(self, ctx: Context, result: Any) -> None:
        """Runs after every transaction that did not fail, with what it returned."""

    def unknown_transaction(self, ctx: Context) -> Any:
        """Runs when no transaction has the name that was asked for; what it returns is the payload."""
        known = ", ".join(sorted(self.functions)) or "none"
        raise ContractError(f"there is no function {ctx.stub.get_function()!r}; there are: {known}")
