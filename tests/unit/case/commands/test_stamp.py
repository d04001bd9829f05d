"""``case stamp``, and its stamps in ``case verify`` and ``case report``, with an authority that openssl is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from gridledger.evidence.package import write_package
from services.case.__main__ import main
from services.case.commands.report import packed_of
from services.case.stamp_files import StampFile
from services.case.trusted import Trusted, files_of
from tests.support.events_channel import Device
from tests.support.evidence_world import DEVICES, GENERAL, KNOWN, SECTION, EvidenceWorld
from tests.support.time_stamps import TSA, Answer, serving, verified_by_openssl


@dataclass
class Desk:
    """A package that is proved, another one, what to trust, and an authority."""

    folder: Path
    tsa: TSA
    package: Path
    other: Path
    roots: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("stamped")
    world = EvidenceWorld(folder / "world")
    world.register("pmu-7")
    device = Device("pmu-7", SECTION)
    places = [world.log(device), world.log(device)]
    world.anchor(DEVICES)
    world.anchor(SECTION)
    desk = Desk(folder, TSA(folder / "tsa"), folder / "case.zip", folder / "other.zip", folder / "roots")
    desk.package.write_bytes(write_package(world.package(places[0])))
    desk.other.write_bytes(write_package(world.package(places[1])))
    desk.roots.mkdir()
    for name, content in files_of(Trusted(world.roots, GENERAL, world.genesis, KNOWN)).items():
        (desk.roots / name).write_bytes(content)
    return desk


@contextmanager
def running(tsa: TSA) -> Iterator[str]:
    with serving(lambda body, headers: Answer([tsa.reply(body)])) as url:
        yield url


@pytest.fixture(scope="session")
def stamp(made: Desk) -> Path:
    """The package's stamp."""
    out = made.folder / "true.tsr"
    with running(made.tsa) as url:
        command = ["stamp", str(made.package), "--tsa", url, "--tsa-roots", str(made.tsa.root), "--out", str(out)]
        assert main(command) == 0
    return out


def verify(made: Desk, *more: object, package: Path | None = None) -> int:
    return main(["verify", str(package or made.package), "--roots", str(made.roots), *map(str, more)])


def test_a_stamp_lies_beside_the_package_which_stays_as_it_is(
    made: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "case.zip"
    package.write_bytes(made.package.read_bytes())
    with running(made.tsa) as url:
        command = ["stamp", str(package), "--tsa", url, "--tsa-roots", str(made.tsa.root), "--json"]
        assert main(command) == 0
        told = json.loads(capsys.readouterr().out)
        assert main(command) == 1
        assert "case.zip.tsr is there already" in capsys.readouterr().err
    assert package.read_bytes() == made.package.read_bytes()
    assert told["sha256"] == sha256(package.read_bytes()).hexdigest()
    assert (told["stamp"], told["verified"]) == (str(tmp_path / "case.zip.tsr"), True)
    assert verified_by_openssl(tmp_path / "case.zip.tsr", package, made.tsa.root)
    assert not verified_by_openssl(tmp_path / "case.zip.tsr", made.other, made.tsa.root)
    assert verify(made, "--stamp", told["stamp"], "--tsa-roots", made.tsa.root) == 0
    out = capsys.readouterr().out
    assert f"ok: stamp case.zip.tsr: this package was there at {told['time']}, to within 1.5 s, says CN=Time" in out


def test_without_roots_both_say_what_was_not_checked(
    made: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.tsr"
    with running(made.tsa) as url:
        assert main(["stamp", str(made.package), "--tsa", url, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "CN=Time Stamp Authority,O=Stamps" in said.out
    assert "the stamp's signature was not checked" in said.err
    assert verify(made, "--stamp", out, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["stamp"]["verified"] is False
    assert any("anybody can have made it: give the authority's root" in note for note in report["notes"])


def test_a_wrong_answer_is_not_kept(made: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, other = tmp_path / "a.tsr", TSA(tmp_path / "other")
    command = ["stamp", str(made.package), "--out", str(out), "--tsa-roots", str(made.tsa.root), "--tsa"]
    with running(other) as url:
        assert main([*command, url]) == 1
    assert "leads to none of the roots" in capsys.readouterr().err
    with serving(lambda body, headers: Answer([made.tsa.reply(body, digests="sha512")])) as url:
        assert main([*command, url]) == 1
    assert "the authority refused with status 2, Message digest algorithm is not supported" in capsys.readouterr().err
    replayed: list[bytes] = []

    def replay(body: bytes, headers: dict[str, str]) -> Answer:
        replayed.append(body)
        return Answer([made.tsa.reply(replayed[0])])

    with serving(replay) as url:
        assert main([*command, url]) == 0
        out.unlink()
        capsys.readouterr()
        assert main([*command, url]) == 1
    assert "does not carry the nonce of the request" in capsys.readouterr().err
    assert not out.exists()


def test_what_is_no_package_is_not_stamped(made: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_text("no package")
    for file, url, says in (
        (text, "http://127.0.0.1:1", "this is no archive"),
        (tmp_path / "none.zip", "http://127.0.0.1:1", "none.zip: No such file"),
        (made.package, "127.0.0.1", "is no address"),
    ):
        assert main(["stamp", str(file), "--tsa", url, "--out", str(tmp_path / "a.tsr")]) == 1
        assert says in capsys.readouterr().err


def test_a_wrong_stamp_is_told_and_breaks(
    made: Desk, stamp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "changed.tsr"
    data = bytearray(stamp.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(data)
    trusted = ("--tsa-roots", made.tsa.root)
    assert verify(made, "--stamp", changed, *trusted) == 1
    assert "BROKEN: stamp changed.tsr: its signature by " in capsys.readouterr().out
    assert verify(made, "--stamp", stamp, *trusted, package=made.other) == 1
    assert "BROKEN: stamp true.tsr: it is over other bytes, of the SHA-256 " in capsys.readouterr().out
    assert verify(made, "--stamp", made.package, *trusted) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "BROKEN"


def test_what_cannot_be_read_is_wrong_usage(
    made: Desk, stamp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for more, says in (
        (("--stamp", tmp_path / "none.tsr"), "none.tsr: No such file"),
        (("--stamp", stamp, "--tsa-roots", made.package), "case.zip: it has no certificates in PEM"),
        (("--tsa-roots", made.tsa.root), "name it with --stamp"),
    ):
        assert verify(made, *more) == 2
        assert says in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    assert verify(made, "--stamp", stamp) == 2
    assert "a time stamp needs rfc3161_client, which is not installed" in capsys.readouterr().err
    assert verify(made) == 0


def test_the_report_tells_the_stamp(made: Desk, stamp: Path) -> None:
    packed = packed_of(made.package, made.roots, StampFile("true.tsr", stamp.read_bytes(), []))
    assert packed.verification is not None
    assert packed.verification["stamp"]["authority"] == "CN=Time Stamp Authority,O=Stamps"
