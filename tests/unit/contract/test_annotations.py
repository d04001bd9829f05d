"""Declared parameters: what a transaction gets for JSON values, what it refuses, and what cannot be declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, NotRequired, Optional, TypedDict

import pytest

from gridledger.contract import Context, Contract, ContractError, transaction
from gridledger.contract.loader import Chaincode, ChaincodeLoadError
from gridledger.contract.simulator.simulator import Simulator

if TYPE_CHECKING:
    from nowhere import Hidden  # type: ignore[import-not-found]

MeterId = NewType("MeterId", str)


@dataclass(frozen=True, slots=True)
class Place:
    bus: int
    name: str | None = None


@dataclass
class Reading:
    kwh: float
    place: Place
    phases: tuple[float, float, float]
    marks: list[str] = field(default_factory=list)


@dataclass
class Tree:
    name: str
    children: list[Tree]


class Limits(TypedDict):
    low: float
    high: NotRequired[float]


class Types(Contract):
    """Each transaction answers what it got: its ``repr``, which tells 1 from 1.0 and a tuple from a list."""

    @transaction
    def scalars(self, ctx: Context, a: str, b: int, c: float, d: bool) -> str:
        return repr((a, b, c, d))

    @transaction
    def nothing(self, ctx: Context, value: None) -> str:
        return repr(value)

    @transaction
    def number(self, ctx: Context, kwh: float) -> str:
        return repr(kwh)

    @transaction
    def integer(self, ctx: Context, count: int = 7) -> str:
        return repr(count)

    @transaction
    def flag(self, ctx: Context, on: bool) -> str:
        return repr(on)

    @transaction
    def text(self, ctx: Context, name: str) -> str:
        return repr(name)

    @transaction
    def optional(self, ctx: Context, limit: Optional[int] = None, other: int | str = "x") -> str:  # noqa: UP045
        return repr((limit, other))

    @transaction
    def choice(self, ctx: Context, colour: Literal["red", 1, None]) -> str:
        return repr(colour)

    @transaction
    def containers(
        self, ctx: Context, a: list[int], b: dict[str, float], c: tuple[str, ...], d: tuple[int, str]
    ) -> str:
        return repr((a, b, c, d))

    @transaction
    def bare(self, ctx: Context, a: list, b: dict, c: tuple) -> str:  # type: ignore[type-arg]
        return repr((a, b, c))

    @transaction
    def abstract(self, ctx: Context, a: Sequence[int], b: Mapping[str, int]) -> str:
        return repr((a, b))

    @transaction
    def record(self, ctx: Context, reading: Reading) -> str:
        return repr(reading)

    @transaction
    def maybe(self, ctx: Context, place: Place | None) -> str:
        return repr(place)

    @transaction
    def tree(self, ctx: Context, root: Tree) -> str:
        return repr(root)

    @transaction
    def limits(self, ctx: Context, limits: Limits) -> str:
        return repr(limits)

    @transaction
    def names(self, ctx: Context, first: MeterId, second: Annotated[int, "a count"]) -> str:
        return repr((first, second))

    @transaction
    def rest(self, ctx: Context, first: str, *others: int) -> str:
        return repr((first, others))

    @transaction
    def places(self, ctx: Context, *places: Place) -> str:
        return repr(places)

    @transaction
    def anything(self, ctx: Context, a, b: Any, c: object, d: int | Any) -> str:
        return repr((a, b, c, d))


types = Simulator(Chaincode([Types()]))
PLACE = {"bus": 3}
READING = {"kwh": 2, "place": PLACE, "phases": [1, 2.0, 3]}


@pytest.mark.parametrize(
    ("function", "args", "got"),
    [
        ("scalars", ("a", 1, 1.5, True), "('a', 1, 1.5, True)"),
        ("nothing", (None,), "None"),
        ("number", (2,), "2"),
        ("integer", (), "7"),
        ("optional", (), "(None, 'x')"),
        ("optional", (None, 3), "(None, 3)"),
        ("choice", ("red",), "'red'"),
        ("choice", (None,), "None"),
        ("containers", ([1], {"x": 1}, ["a", "b"], [1, "x"]), "([1], {'x': 1}, ('a', 'b'), (1, 'x'))"),
        ("bare", ([1, "a"], {"x": []}, [1]), "([1, 'a'], {'x': []}, (1,))"),
        ("abstract", ([2], {"y": 3}), "([2], {'y': 3})"),
        ("record", (READING,), "Reading(kwh=2, place=Place(bus=3, name=None), phases=(1, 2.0, 3), marks=[])"),
        ("maybe", (None,), "None"),
        ("maybe", ({"bus": 1, "name": None},), "Place(bus=1, name=None)"),
        ("tree", ({"name": "a", "children": [{"name": "b", "children": []}]},),
         "Tree(name='a', children=[Tree(name='b', children=[])])"),
        ("limits", ({"low": 1},), "{'low': 1}"),
        ("names", ("m", 2), "('m', 2)"),
        ("rest", ("a",), "('a', ())"),
        ("rest", ("a", 1, 2), "('a', (1, 2))"),
        ("places", ({"bus": 1},), "(Place(bus=1, name=None),)"),
        ("anything", (1, None, [], {"a": 1.5}), "(1, None, [], {'a': 1.5})"),
    ],
)  # fmt: skip
def test_what_a_transaction_gets(function: str, args: tuple[Any, ...], got: str) -> None:
    answer = types.invoke(function, *args)
    assert (answer.status, answer.message, answer.payload) == (200, "", got)


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        ("number", ("x",), 'kwh: must be a number (float), not "x"'),
        ("number", (True,), "kwh: must be a number (float), not true"),
        ("integer", (1.0,), "count: must be an integer (int), not 1.0"),
        ("integer", (2.0**64,), "count: must be an integer (int) within 64 bits, not 1.8446744073709552e+19"),
        ("rest", ("a", -(2.0**63)), "others[0]: must be an integer (int) within 64 bits, not -9.223372036854776e+18"),
        ("integer", (None,), "count: must be an integer (int), not null"),
        ("integer", (False,), "count: must be an integer (int), not false"),
        ("nothing", (0,), "value: must be null, not 0"),
        ("flag", (1,), "on: must be true or false (bool), not 1"),
        ("text", (3,), "name: must be a string (str), not 3"),
        ("text", ([1, 2],), "name: must be a string (str), not an array of 2"),
        ("text", ({"a": 1},), "name: must be a string (str), not an object of 1"),
        ("optional", ("x",), 'limit: must be an integer (int) or null, not "x"'),
        ("optional", (1, 2.5), "other: must be an integer (int) or a string (str), not 2.5"),
        ("choice", ("blue",), 'colour: must be one of "red", 1, null, not "blue"'),
        ("choice", (True,), 'colour: must be one of "red", 1, null, not true'),
        ("choice", (1.0,), 'colour: must be one of "red", 1, null, not 1.0'),
        ("choice", ([],), 'colour: must be one of "red", 1, null, not an array of 0'),
        ("containers", ([1, "x"], {}, [], [1, ""]), 'a[1]: must be an integer (int), not "x"'),
        ("containers", ([], {"k": "v"}, [], [1, ""]), 'b["k"]: must be a number (float), not "v"'),
        ("containers", ([], {}, "ab", [1, ""]), 'c: must be an array (tuple), not "ab"'),
        ("containers", ([], {}, [], [1]), "d: must be an array of 2 (tuple), not an array of 1"),
        ("containers", ([], {}, [], ["", 1]), 'd[0]: must be an integer (int), not ""'),
        ("containers", ({}, {}, [], [1, ""]), "a: must be an array (list), not an object of 0"),
        ("containers", ([], [], [], [1, ""]), "b: must be an object (dict), not an array of 0"),
        ("record", ("x",), 'reading: must be an object (Reading), not "x"'),
        ("record", (READING | {"place": {"bus": "3"}},), 'reading.place.bus: must be an integer (int), not "3"'),
        ("record", (READING | {"place": {}},), "reading.place.bus: is missing"),
        ("record", (READING | {"colour": 1},), "reading.colour: is no field of Reading"),
        ("record", (READING | {"marks": ["a", 2]},), "reading.marks[1]: must be a string (str), not 2"),
        ("maybe", (1,), "place: must be an object (Place) or null, not 1"),
        ("maybe", ({"bus": None},), "place.bus: must be an integer (int), not null"),
        ("tree", ({"name": "a", "children": [{"name": "b"}]},), "root.children[0].children: is missing"),
        ("limits", ({"high": 1},), "limits.low: is missing"),
        ("limits", ({"low": 1, "high": "x"},), 'limits.high: must be a number (float), not "x"'),
        ("names", (1, 2), "first: must be a string (str), not 1"),
        ("rest", ("a", 1, "2"), 'others[1]: must be an integer (int), not "2"'),
        ("rest", (), "rest takes (first), 0 argument(s) were given"),
    ],
)  # fmt: skip
def test_what_is_refused(function: str, args: tuple[Any, ...], message: str) -> None:
    answer = types.invoke(function, *args)
    assert (answer.status, answer.message, answer.payload, answer.writes) == (400, message, None, {})


def test_a_refusal_quotes_little_of_the_value() -> None:
    assert types.invoke("number", "ü" * 1000).message == 'kwh: must be a number (float), not "' + "ü" * 40 + '..."'
    names = types.invoke("containers", [], {"k\n" * 1000: "v"}, [], [1, ""]).message
    assert names.startswith('b["k\\nk\\n')
    assert len(names) < 200
    fields = types.invoke("record", {"x" * 1_000_000: 1}).message
    assert len(fields) < 200
    deep: Any = {"name": 1, "children": []}
    for _ in range(25):
        deep = {"name": "x", "children": [deep]}
    assert types.invoke("tree", deep).message == f"root{'.children[0]' * 25}.name: must be a string (str), not 1"


def test_arguments_are_checked_behind_the_authors_own_hook() -> None:
    class Guarded(Contract):
        def before_transaction(self, ctx: Context) -> None:
            raise ContractError("members only")

        @transaction
        def act(self, ctx: Context, count: int) -> None: ...

    assert Simulator(Chaincode([Guarded()])).invoke("act", "x").message == "members only"


def test_what_a_dataclass_refuses_itself_is_the_answer() -> None:
    assert Simulator(Chaincode([Careful()])).invoke("put", {"kwh": -1}).message == "kwh must not be negative"


@dataclass
class Positive:
    kwh: float

    def __post_init__(self) -> None:
        if self.kwh < 0:
            raise ContractError("kwh must not be negative")


class Careful(Contract):
    @transaction
    def put(self, ctx: Context, reading: Positive) -> list[Positive]:
        ctx.stub.put_state("a", reading)
        ctx.stub.set_event("Put", {"reading": reading})
        return [reading]


def test_dataclasses_are_written_as_objects() -> None:
    answer = Simulator(Chaincode([Careful()])).invoke("put", {"kwh": 2})
    assert (answer.payload, answer.writes) == ([{"kwh": 2}], {"a": {"kwh": 2}})
    assert answer.event == {"name": "Put", "payload": {"reading": {"kwh": 2}}}


def test_a_dataclass_hides_nothing_that_json_does_not_have() -> None:
    class Wrong(Contract):
        @transaction
        def nan(self, ctx: Context) -> Positive:
            return Positive(float("nan"))

        @transaction
        def deep(self, ctx: Context) -> Tree:
            tree = Tree("leaf", [])
            for _ in range(500):
                tree = Tree("x", [tree])
            return tree

        @transaction
        def type(self, ctx: Context) -> Any:
            return Positive

    wrong = Simulator(Chaincode([Wrong()]))
    assert wrong.invoke("nan").message == "what nan returned NaN and infinities are no JSON numbers"
    assert wrong.invoke("deep").message.startswith("what deep returned ")
    assert [wrong.invoke(name).status for name in ("nan", "deep", "type")] == [400, 400, 400]


def test_ctx_and_the_result_may_be_declared_as_anything() -> None:
    class Unknown(Contract):
        @transaction
        def act(self, ctx: Hidden, count: int) -> Hidden: ...

    assert Simulator(Chaincode([Unknown()])).invoke("act", 1).status == 200


@dataclass
class Initial:
    kwh: InitVar[float]


@dataclass
class Money:
    amount: Decimal


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        ("Hidden", "the annotation Hidden cannot be resolved: NameError: name 'Hidden' is not defined"),
        ("list[Hidden]", "the annotation list[Hidden] cannot be resolved: NameError"),
        ("list[", "cannot be resolved: SyntaxError"),
        ("Decimal", "Decimal is no JSON type; take one of str, int"),
        ("set[int]", "set[int] is no JSON type"),
        ("dict[int, str]", "dict[int, str] is no JSON type"),
        ("bytes | None", "bytes is no JSON type"),
        ("list[Decimal]", "Decimal is no JSON type"),
        ("Literal[b'x']", "is no JSON type"),
        ("Money", "field amount of Money: Decimal is no JSON type"),
        ("Initial", "Initial has an InitVar"),
    ],
)
def test_what_cannot_be_declared(annotation: str, says: str) -> None:
    def act(self: Any, ctx: Context, count: Any) -> None: ...

    act.__annotations__["count"] = annotation
    contract = type("Meter", (Contract,), {"act": transaction(act)})
    with pytest.raises(ChaincodeLoadError) as caught:
        Chaincode([contract()])
    assert caught.value.message.startswith("Meter.act, parameter count: ")
    assert says in caught.value.message


def test_a_result_that_cannot_be_declared_excuses_no_parameter() -> None:
    class Bank(Contract):
        @transaction
        def read(self, ctx: Context) -> Money:
            raise NotImplementedError

        @transaction
        def put(self, ctx: Context, money: Money) -> None: ...

    with pytest.raises(ChaincodeLoadError, match="field amount of Money: Decimal is no JSON type"):
        Chaincode([Bank()])
