"""Contract classes: which transactions they have, and what is refused when the class is made."""

from __future__ import annotations

import pytest

from gridledger.contract import Context, Contract, ContractError, transaction


class Base(Contract):
    @transaction(name="Put")
    def put(self, ctx: Context, key: str, value: object = 1) -> None:
        ctx.stub.put_state(key, value)

    @transaction(readonly=True)
    def get(self, ctx: Context, *keys: str) -> list[object]:
        return [ctx.stub.get_state(key) for key in keys]

    @transaction
    def nothing(self, ctx: Context) -> None:
        """Takes no arguments."""


class Derived(Base):
    @transaction(name="Put")
    def put(self, ctx: Context, key: str, value: object = 2) -> None:
        ctx.stub.put_state(key, [value])


def test_names_default_to_the_methods_and_can_be_given() -> None:
    assert sorted(Base.functions) == ["Put", "get", "nothing"]
    assert Base.functions["get"].readonly
    assert not Base.functions["Put"].readonly


def test_a_subclass_has_the_transactions_of_its_base_and_can_replace_them() -> None:
    assert sorted(Derived.functions) == ["Put", "get", "nothing"]
    assert Base.functions["Put"] is not Derived.functions["Put"]


@pytest.mark.parametrize(("name", "counts"), [("Put", (1, 2)), ("get", (0, 1, 5)), ("nothing", (0,))])
def test_argument_counts_that_are_taken(name: str, counts: tuple[int, ...]) -> None:
    for count in counts:
        Base.functions[name].check_arguments(["a"] * count)


@pytest.mark.parametrize(("name", "count"), [("Put", 0), ("Put", 3), ("nothing", 1)])
def test_argument_counts_that_are_refused(name: str, count: int) -> None:
    with pytest.raises(ContractError, match=rf"{name} takes \(.*\), {count} argument"):
        Base.functions[name].check_arguments(["a"] * count)


@pytest.mark.parametrize("name", ["", "a b", "1st", "a" * 65, "ä"])
def test_a_name_that_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a transaction"):
        transaction(name=name)(lambda self, ctx: None)


def test_two_methods_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="are both named 'x'"):

        class Twice(Contract):
            @transaction(name="x")
            def one(self, ctx: Context) -> None: ...

            @transaction(name="x")
            def two(self, ctx: Context) -> None: ...


def test_what_cannot_be_called_by_position_is_refused() -> None:
    with pytest.raises(TypeError, match="positional parameters only"):

        class Keywords(Contract):
            @transaction
            def one(self, ctx: Context, *, key: str) -> None: ...

    with pytest.raises(TypeError, match="neither async nor a generator"):

        class Coroutine(Contract):
            @transaction
            async def one(self, ctx: Context) -> None: ...

    with pytest.raises(TypeError, match="at least self and ctx"):

        class Bare(Contract):
            @transaction
            def one(self) -> None: ...
