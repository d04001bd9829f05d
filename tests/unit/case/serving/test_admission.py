"""Nothing is read without a Query of the caller's own that is valid on the ledger, in a case whose scope covers it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.codes import TxValidationCode
from services.case.questions import Question, Scope
from services.case.serving import admission
from services.case.serving.admission import Admitted
from services.case.serving.routes import make_router
from services.case.serving.used import UsedQueries
from tests.support.case_chains import event, opening
from tests.support.desk_world import SCOPE, DeskWorld, S
from tests.support.processes import REPOSITORY

QUESTION = Question(channels=("section-plant",), devices=("b-1",))
ROUTES = ("rows", "package")
SERVING = REPOSITORY / "services" / "case"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DeskWorld]:
    made = DeskWorld(tmp_path)
    made.fill("section-plant", event("b-1", "alarm", 1_000 * S, "breaker"), event("b-2", "alarm", 1_000 * S))
    made.fill("access", opening("s-1", "ivan", "t-1"))
    made.open_case()
    yield made
    made.index.close()


@dataclass(frozen=True)
class Answer:
    status: int
    code: str
    told: Any


def purpose_of(route: str) -> str:
    return "package" if route == "package" else "search"


def body_of(route: str, query: str, question: Any) -> dict[str, Any]:
    more: dict[str, Any] = {"disclose": False} if route == "package" else {"kind": "search"}
    return {"query": query, "question": question, **more}


async def ask(
    world: DeskWorld,
    route: str,
    query: str,
    question: Question = QUESTION,
    *,
    by: SigningIdentity | None = None,
    case: str = "c-1",
) -> Answer:
    async with world.serving() as port, world.client(port, by or world.roman) as http:
        answer = await http.post(f"/cases/{case}/{route}", json=body_of(route, query, question.to_dict()))
        if answer.status_code == 200:
            return Answer(200, "", answer.json() if route == "rows" else answer.content)
        return Answer(answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["message"])


def query_for(world: DeskWorld, route: str, **more: Any) -> str:
    return world.query(QUESTION, purpose_of(route), **more)


@pytest.mark.parametrize("route", ROUTES)
async def test_a_valid_query_of_the_callers_own_is_answered_and_recorded_first(world: DeskWorld, route: str) -> None:
    answer = await ask(world, route, query_for(world, route))
    assert answer.status == 200
    if route == "rows":
        assert [(row["device"], row["block"]) for row in answer.told["rows"]] == [("b-1", 0)]
        assert answer.told["read_to"]["section-plant"]["height"] == 1
        assert "general" not in answer.told["read_to"]
    else:
        ((places, about),) = world.collector.collected
        assert [(place.channel, place.block, place.index) for place in places] == [("section-plant", 0, 0)]
        assert about["case"] == "c-1"


async def test_parts_from_light_nodes_are_for_packages_and_stand_in_the_query(world: DeskWorld) -> None:
    question = Question(channels=("section-plant",), devices=("b-1",), parts=("rows",))
    answer = await ask(world, "rows", world.query(question, "search"), question)
    assert (answer.status, answer.code) == (400, "BAD_QUESTION")
    assert answer.told.startswith("parts: ")
    # A Query that does not name them does not allow them.
    answer = await ask(world, "package", query_for(world, "package"), question)
    assert (answer.status, answer.code) == (403, "QUERY_NOT_VALID")
    assert (await ask(world, "package", world.query(question, "package"), question)).status == 200
    assert world.collector.collected[-1][1]["question"]["parts"] == ["rows"]


@pytest.mark.parametrize("route", ROUTES)
async def test_no_route_answers_without_a_query_for_just_this(world: DeskWorld, route: str) -> None:
    purpose, roman = purpose_of(route), world.roman
    argument = {"case": "c-1", "text": QUESTION.text(purpose)}
    world.open_case("c-2")
    unreadable = "cd" * 32
    world.commit(b"{}", unreadable)
    for what, query in {
        "there is none": "ab" * 32,
        "another's": query_for(world, route, by=world.olha),
        "not valid": query_for(world, route, code=TxValidationCode.MVCC_READ_CONFLICT),
        "another function": world.submit("Approve", argument, roman, pretended=True),
        "another chaincode": world.submit("Query", argument, roman, pretended=True, chaincode="kv"),
        "another channel": world.submit("Query", argument, roman, pretended=True, channel="access"),
        "unreadable": unreadable,
        "another text": world.query(Question(channels=("section-plant",)), purpose),
        "another case": world.query(QUESTION, purpose, case="c-2"),
        "another purpose": world.query(QUESTION, "report"),
    }.items():
        answer = await ask(world, route, query)
        assert (answer.status, answer.code) == (403, "QUERY_NOT_VALID"), (what, answer)
    old = query_for(world, route)
    world.now_us += 601 * S
    answer = await ask(world, route, old)
    assert (answer.status, answer.code) == (403, "QUERY_NOT_VALID")
    assert "601 s old" in answer.told
    assert not world.collector.collected


@pytest.mark.parametrize("route", ROUTES)
async def test_a_query_is_good_for_one_answer_over_restarts_too(world: DeskWorld, route: str) -> None:
    query = query_for(world, route)
    assert (await ask(world, route, query)).status == 200
    again = await ask(world, route, query)
    assert (again.status, again.code) == (409, "QUERY_USED")


@pytest.mark.parametrize("route", ROUTES)
async def test_a_case_that_is_not_in_force_is_not_read_for(world: DeskWorld, route: str) -> None:
    query = query_for(world, route)
    world.submit("CloseCase", {"case": "c-1"}, world.roman)
    closed = await ask(world, route, query)
    assert (closed.status, closed.code) == (403, "CASE_NOT_IN_FORCE")
    # The contract takes no Query for a case that is not approved; a transaction that pretends to be one is no way in.
    world.open_case("c-3", approved=False)
    for case in ("c-3", "c-unknown"):
        argument = {"case": case, "text": QUESTION.text(purpose_of(route))}
        early = await ask(world, route, world.submit("Query", argument, world.roman, pretended=True), case=case)
        assert (early.status, early.code) == (403, "CASE_NOT_IN_FORCE")


@pytest.mark.parametrize("route", ROUTES)
async def test_a_question_beyond_the_scope_is_refused_and_the_query_stays_good(world: DeskWorld, route: str) -> None:
    beyond = Question(channels=("section-home",))
    query = world.query(beyond, purpose_of(route))
    for _ in range(2):
        answer = await ask(world, route, query, beyond)
        assert (answer.status, answer.code) == (403, "OUT_OF_SCOPE")
    assert not world.collector.collected


@pytest.mark.parametrize("route", ROUTES)
async def test_who_is_no_investigator_or_nobody_is_refused(world: DeskWorld, route: str) -> None:
    foreign = world.stranger.issue("roman", "client", attributes={"forensics.role": "investigator"})
    query = query_for(world, route)
    for by in (world.clerk, world.head, world.admin, foreign):
        answer = await ask(world, route, query, by=by)
        # An investigator of another organisation is told of his Query: the contract took none of him.
        code = "QUERY_NOT_VALID" if by is foreign else "PERMISSION_DENIED"
        assert (answer.status, answer.code) == (403, code)
    async with world.serving() as port, world.client(port, None) as http:
        unknown = await http.post(f"/cases/c-1/{route}", json=body_of(route, query, QUESTION.to_dict()))
        assert unknown.status_code == 401
    assert (await ask(world, route, query)).status == 200


@pytest.mark.parametrize("route", ROUTES)
async def test_what_is_no_request_is_refused(world: DeskWorld, route: str) -> None:
    body = body_of(route, query_for(world, route), QUESTION.to_dict())
    wrong = ("kind", "curiosity") if route == "rows" else ("disclose", "yes")
    async with world.serving() as port, world.client(port, world.roman) as http:
        questions: list[Any] = [{"devices": ["b-1"], "more": 1}, [], {"limit": 0}]
        changes: list[tuple[str, Any]] = [
            *(("question", value) for value in questions),
            *(("query", value) for value in ("zz", 7, "AB" * 32)),
            ("more", 1),
            wrong,
        ]
        for name, value in changes:
            answer = await http.post(f"/cases/c-1/{route}", json=body | {name: value})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_QUESTION"), name
        assert (await http.post(f"/cases/c-1/{route}", content=b"{")).status_code == 400
        assert (await http.post(f"/cases/c%2F1/{route}", json=body)).status_code in (400, 404, 422)
        assert (await http.post(f"/cases/c-1/{route}", content=b" " * 20_000)).status_code == 413


async def test_a_package_that_discloses_others_is_made_where_that_is_allowed(world: DeskWorld) -> None:
    world.collector.others = 3
    refused = await ask(world, "package", world.query(QUESTION, "package"))
    assert (refused.status, refused.code) == (409, "PACKAGE_DISCLOSES")
    assert "3 on section-plant" in refused.told
    async with world.serving() as port, world.client(port, world.roman) as http:
        body = {"query": world.query(QUESTION, "package"), "question": QUESTION.to_dict(), "disclose": True}
        answer = await http.post("/cases/c-1/package", json=body)
        assert (answer.status_code, answer.content[:2]) == (200, b"PK")
        world.collector.others = 10_001
        body["query"] = world.query(QUESTION, "package")
        assert (await http.post("/cases/c-1/package", json=body)).status_code == 413


async def test_every_other_route_tells_nothing_of_the_rows(world: DeskWorld) -> None:
    routes = {route.path for route in make_router(None, None).routes if isinstance(route, APIRoute)}  # type: ignore[arg-type]
    assert routes == {f"/cases/{{case}}/{route}" for route in ROUTES}
    async with world.serving() as port, world.client(port, world.roman) as http:
        for path in ("/healthz", "/version", "/metrics", "/openapi.json", "/rows", "/cases/c-1/rows", "/index"):
            assert "breaker" not in (await http.get(path)).text


def test_only_the_check_makes_what_a_read_takes() -> None:
    scope = Scope.of({"scope": SCOPE | {"devices": None, "operators": None, "kinds": None}})
    with pytest.raises(TypeError, match="admitted by the ledger alone"):
        Admitted(object(), case="c", purpose="search", question=QUESTION, scope=scope, query="")  # type: ignore[arg-type]
    made = {file for file in modules() for node in calls(file) if node in ("Admitted", "_Seal")}
    assert made == {SERVING / "serving" / "admission.py"}
    assert [name for file in modules() for name in names(file) if name == "_SEAL" and file.stem != "admission"] == []
    assert admission._SEAL is not None


def test_rows_and_blocks_are_read_in_one_module_alone() -> None:
    """Rows leave the index by ``search``, and blocks the peer by a collector: ``reading`` alone calls them."""
    reading = SERVING / "serving" / "reading.py"
    assert {file for file in modules() if "services.case.serving.searching" in imports(file)} == {reading}
    for call in ("reader", "collect", "with_parts"):
        assert {file for file in modules() if call in calls(file)} == {reading}, call
    tree = ast.parse(reading.read_text())
    (kind,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Reading"]
    for method in kind.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name != "__init__":
            assert [ast.unparse(each.annotation or ast.Constant("")) for each in method.args.args[1:]] == ["Admitted"]


def test_a_used_query_is_known_until_it_is_too_old(tmp_path: Path) -> None:
    used = UsedQueries(tmp_path)
    assert used.take("a", 100, 0)
    assert not used.take("a", 100, 100)
    used.close()
    again = UsedQueries(tmp_path)
    assert not again.take("a", 100, 50)
    assert again.take("a", 100, 101)
    again.close()


def modules() -> list[Path]:
    """The desk's modules, and those of its service that they may use."""
    return [file for file in sorted(SERVING.glob("*.py")) if file.stem != "__main__"] + sorted(
        (SERVING / "serving").glob("*.py")
    )


def calls(file: Path) -> set[str]:
    """The names of what a module calls."""
    called = [node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return {node.id if isinstance(node, ast.Name) else getattr(node, "attr", "") for node in called}


def names(file: Path) -> set[str]:
    """All names in a module."""
    tree = ast.walk(ast.parse(file.read_text()))
    return {node.id for node in tree if isinstance(node, ast.Name)}


def imports(file: Path) -> set[str]:
    """The modules from which a module imports names."""
    return {node.module or "" for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)}
