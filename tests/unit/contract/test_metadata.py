"""What a chaincode tells of itself: Fabric's GetMetadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from gridledger import jsontext
from gridledger.contract import Context, Contract, ContractError, transaction
from gridledger.contract.loader import Chaincode
from gridledger.contract.simulator.simulator import Simulator
from tests.support.processes import REPOSITORY

GET_METADATA = "org.hyperledger.fabric:GetMetadata"
INTEGER = {"type": "integer", "format": "int64"}
NUMBER = {"type": "number", "format": "double"}
TEXT = {"type": "string"}
NULL = {"type": "null"}


@dataclass
class Asset:
    ID: str
    parts: list[Asset]
    size: int = 0


class Page(TypedDict):
    items: list[Asset]
    bookmark: NotRequired[str]


class Market(Contract):
    def before_transaction(self, ctx: Context) -> None:
        raise ContractError("members only")

    @transaction(name="Create")
    def create(self, ctx: Context, asset: Asset, price: float = 1.5) -> None:
        """Add an asset.

        And more.
        """

    @transaction(readonly=True)
    def query(
        self, ctx: Context, kind: Literal["a", "b"] | None, at: tuple[int, str], tags: dict[str, bool], *rest: str
    ) -> Page:
        return {"items": []}

    @transaction
    def untyped(self, ctx, value, either: int | Any, first=Asset("", []), second=frozenset()) -> set[int]:  # noqa: B008
        return set()


class Other(Contract):
    @transaction
    def other(self, ctx: Context, owner: tuple[Asset, ...]) -> None: ...


def _metadata(*contracts: Contract) -> Any:
    answer = Simulator(Chaincode([*contracts])).invoke(GET_METADATA)
    assert (answer.status, answer.message, answer.reads, answer.writes) == (200, "", {}, {})
    return answer.payload


def test_contracts_transactions_and_schemas_are_told() -> None:
    answer = _metadata(Market(), Other())
    assert answer["info"] == {"title": "Market", "version": ""}
    assert [*answer["contracts"]] == ["Market", "Other"]
    asset = {"$ref": "#/components/schemas/Asset"}
    assert answer["contracts"]["Market"]["transactions"] == [
        {
            "name": "Create",
            "tag": ["submit"],
            "parameters": [
                {"name": "asset", "schema": asset},
                {"name": "price", "schema": NUMBER, "required": False, "default": 1.5},
            ],
            "returns": NULL,
            "description": "Add an asset.",
        },
        {
            "name": "query",
            "tag": ["evaluate"],
            "parameters": [
                {"name": "kind", "schema": {"anyOf": [{"enum": ["a", "b"]}, NULL]}},
                {
                    "name": "at",
                    "schema": {"type": "array", "prefixItems": [INTEGER, TEXT], "minItems": 2, "maxItems": 2},
                },
                {"name": "tags", "schema": {"type": "object", "additionalProperties": {"type": "boolean"}}},
                {"name": "rest", "schema": TEXT, "required": False, "repeated": True},
            ],
            "returns": {"$ref": "#/components/schemas/Page"},
        },
        {
            "name": "untyped",
            "tag": ["submit"],
            "parameters": [
                {"name": "value", "schema": {}},
                {"name": "either", "schema": {}},
                {"name": "first", "schema": {}, "required": False, "default": {"ID": "", "parts": [], "size": 0}},
                {"name": "second", "schema": {}, "required": False},
            ],
            "returns": {},
        },
    ]
    assert answer["contracts"]["Other"]["transactions"][0]["parameters"] == [
        {"name": "owner", "schema": {"type": "array", "items": asset}}
    ]
    assert answer["components"]["schemas"] == {
        "Asset": {
            "$id": "Asset",
            "type": "object",
            "properties": {"ID": TEXT, "parts": {"type": "array", "items": asset}, "size": INTEGER},
            "required": ["ID", "parts"],
            "additionalProperties": False,
        },
        "Page": {
            "$id": "Page",
            "type": "object",
            "properties": {"items": {"type": "array", "items": asset}, "bookmark": TEXT},
            "required": ["items"],
            "additionalProperties": False,
        },
    }


def test_dataclasses_of_one_name_have_schemas_of_their_own(tmp_path: Path) -> None:
    head = "from dataclasses import dataclass\n"
    for name, field in (("one", "x: int"), ("two", "y: str")):
        (tmp_path / f"{name}.py").write_text(f"{head}@dataclass\nclass Point:\n    {field}\n")
    (tmp_path / "contract.py").write_text(
        "from gridledger.contract import Contract, transaction\nfrom . import one, two\n"
        "class C(Contract):\n    @transaction\n    def put(self, ctx, a: one.Point, b: two.Point): return [a.x, b.y]\n"
    )
    simulator = Simulator(tmp_path)
    assert simulator.invoke("put", {"x": 1}, {"y": "2"}).payload == [1, "2"]
    schemas = simulator.invoke(GET_METADATA).payload["components"]["schemas"]
    assert {name: [*schema["properties"]] for name, schema in schemas.items()} == {"Point": ["x"], "Point_2": ["y"]}


def test_the_answer_is_one_text_and_no_ones_to_replace() -> None:
    texts = {jsontext.dumps(_metadata(Market(), Other())) for _ in range(3)}
    assert len(texts) == 1
    assert Simulator(Chaincode([Market()])).invoke(GET_METADATA, 1).message == (
        f"{GET_METADATA} takes (), 1 argument(s) were given"
    )


def test_the_chaincodes_of_the_house_tell_of_themselves() -> None:
    answer = Simulator(REPOSITORY / "chaincode" / "kv").invoke(GET_METADATA).payload
    add = next(each for each in answer["contracts"]["KeyValue"]["transactions"] if each["name"] == "add")
    assert add["parameters"] == [{"name": "key", "schema": TEXT}, {"name": "amount", "schema": INTEGER}]
    assert add["returns"] == INTEGER
    dvs = Simulator(REPOSITORY / "chaincode" / "dvs").invoke(GET_METADATA).payload["contracts"]["DVS"]
    assert [each["parameters"] for each in dvs["transactions"] if each["name"] == "ComputeVSI"] == [
        [{"name": "frame", "schema": {}}]
    ]
