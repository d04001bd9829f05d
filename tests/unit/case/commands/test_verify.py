"""``gridledger case verify``, and the verifier in a package: the same command, with cryptography alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import cryptography
import pytest

from gridledger.errors import InputError, SettingsError
from gridledger.evidence.package import write_package
from services.case import verifier as making
from services.case.__main__ import main
from services.case.trusted import Trusted, files_of, read_trusted
from services.case.verifier import verifier
from tests.support.events_channel import Device
from tests.support.evidence_world import DEVICES, GENERAL, KNOWN, SECTION, EvidenceWorld


@dataclass
class Files:
    """A package that is proved, one that is broken, one that is not anchored; and what to trust."""

    folder: Path
    roots: Path
    good: Path
    broken: Path
    late: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("case")
    world = EvidenceWorld(folder / "world")
    world.register("pmu-7")
    device = Device("pmu-7", SECTION)
    place = world.log(device)
    world.anchor(DEVICES)
    world.anchor(SECTION)
    made = Files(folder, folder / "roots", folder / "case.zip", folder / "broken.zip", folder / "late.zip")
    good = write_package(replace(world.package(place), verifier=verifier()))
    made.good.write_bytes(good)
    made.broken.write_bytes(good.replace(b"event 1", b"event 9", 1))
    made.late.write_bytes(write_package(world.package(world.log(device))))
    made.roots.mkdir()
    for name, content in files_of(Trusted(world.roots, GENERAL, world.genesis, KNOWN)).items():
        (made.roots / name).write_bytes(content)
    return made


def test_the_exit_code_tells_the_outcome(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = ((files.good, 0, "PROVED"), (files.broken, 1, "BROKEN"), (files.late, 3, "NOT ANCHORED YET"))
    for package, code, says in outcomes:
        assert main(["verify", str(package), "--roots", str(files.roots)]) == code
        out = capsys.readouterr().out.splitlines()
        assert out[-1] == says
        named = [line for line in out if line.startswith("BROKEN: form channels/section-plant/000000000002.block: ")]
        assert len(named) == (code == 1)
    assert main(["verify", str(files.good), "--roots", str(files.roots)]) == 0
    told = capsys.readouterr().out
    said = "pmu-7 of Org1MSP said event 1, alarm, at 2026-01-01T00:00:00.000000Z (block "
    assert f"  section-plant block 2: {said}" in told
    assert "events.LogEvent by lightnode of Org1MSP, anchored at 3 blocks" in told


def test_roots_decide_which_chaincodes_count(files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(files.good), "--roots", str(files.roots)]) == 0
    assert "What you trust does not have it" not in capsys.readouterr().out
    unnamed = copied(files, tmp_path, roles_json=None)
    assert main(["verify", str(files.good), "--roots", str(unnamed)]) == 0
    assert "note: for the role devices stands the chaincode registry on devices: " in capsys.readouterr().out
    (unnamed / "roles.json").write_bytes((files.roots / "roles.json").read_bytes().replace(b"registry", b"other"))
    assert main(["verify", str(files.good), "--roots", str(unnamed)]) == 1
    assert "BROKEN: roles manifest.json: it takes registry on devices" in capsys.readouterr().out


def test_the_packages_verifier_is_compared_with_this_versions(
    files: Files, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = sha256(verifier()).hexdigest()
    main(["verify", str(files.good), "--roots", str(files.roots)])
    assert f"note: verify.pyz in the package has the SHA-256 {own}, as the one that this" in capsys.readouterr().out
    assert main(["verify", str(files.late), "--roots", str(files.roots), "--json"]) == 3  # its verifier is "PK"
    report = json.loads(capsys.readouterr().out)
    other = sha256(b"PK").hexdigest()
    assert report["verifier_sha256"] == other
    said = (
        f"verify.pyz in the package has the SHA-256 {other}; the one that this version makes has {own}. Do not run it"
    )
    assert report["notes"][-1].startswith(said)
    monkeypatch.setattr(making, "LIBRARIES", frozenset())
    making.verifier.cache_clear()
    assert main(["verify", str(files.good), "--roots", str(files.roots)]) == 0
    assert "this version's cannot be told: " in capsys.readouterr().out
    making.verifier.cache_clear()
    main(["verify", str(files.broken), "--roots", str(files.roots)])
    assert "verify.pyz in the package" not in capsys.readouterr().out


def test_json_has_all_steps(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(files.broken), "--roots", str(files.roots), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["outcome"] == "broken"
    assert [step["step"] for step in report["steps"] if not step["holds"]] == ["form"]


def test_what_cannot_be_read_is_wrong_usage(files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package, roots, says in (
        (tmp_path / "none.zip", files.roots, "none.zip: No such file"),
        (files.good, tmp_path / "none", "has no roots: it wants MSPID.pem for each organisation, and genesis.json"),
    ):
        assert main(["verify", str(package), "--roots", str(roots)]) == 2
        assert says in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(files.good)])
    assert ended.value.code == 2


def copied(files: Files, folder: Path, **changes: bytes | None) -> Path:
    """The folder of what is trusted with files changed, or taken away."""
    for file in files.roots.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for name, content in changes.items():
        path = folder / name.replace("_", ".")
        path.unlink() if content is None else path.write_bytes(content)
    return folder


def roles_text(channel: str, *packages: str, sections: int = 0) -> bytes:
    section = {"channel": SECTION, "chaincode": "events", "packages": []}
    anchoring = {"channel": channel, "chaincode": "anchors", "packages": packages}
    return json.dumps({"anchoring": anchoring, "devices": None, "sections": [section] * sections}).encode()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"genesis_json": None}, "genesis.json: No such file"),
        ({"genesis_json": b"x"}, "genesis.json: not a JSON text"),
        ({"genesis_json": b'{"channel":"general"}'}, "missing members ['genesis']"),
        ({"genesis_json": b'{"channel":"general","genesis":"00"}'}, "'genesis' must match"),
        ({"roles_json": b"x"}, "roles.json: not a JSON text"),
        ({"roles_json": b'{"anchoring":{},"devices":null}'}, "roles.json: roles: missing members ['sections']"),
        (
            {"roles_json": roles_text("elsewhere")},
            "roles.json: anchors are on elsewhere, and genesis.json is of general",
        ),
        ({"roles_json": roles_text(GENERAL, "00")}, "one of 'packages' must match"),
        ({"roles_json": roles_text("a b")}, "'channel' must match"),
        ({"roles_json": roles_text(GENERAL, sections=2)}, "roles.json: a channel is a section once"),
        ({"Org1MSP_pem": b""}, "Org1MSP.pem: it has no certificates in PEM"),
        ({"Org1MSP_pem": b"\xff"}, "Org1MSP.pem: it has no certificates in PEM"),
        ({"Org1MSP_pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "Org1MSP.pem: "),
        ({"a b_pem": b""}, "the name of "),
        ({"Org1MSP_pem": b"x" * (1024 * 1024 + 1)}, "more than 1048576 bytes"),
    ],
)
def test_a_folder_of_roots_that_is_wrong_is_told_by_file(
    changes: dict[str, bytes | None], says: str, files: Files, tmp_path: Path
) -> None:
    folder = copied(files, tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        read_trusted(folder)
    assert says in caught.value.message


def test_what_is_trusted_comes_back(files: Files) -> None:
    trusted = read_trusted(files.roots)
    assert sorted(trusted.roots) == ["OrdererMSP", "Org1MSP", "Org2MSP", "Org3MSP"]
    assert (trusted.channel, trusted.roles) == (GENERAL, KNOWN)
    two = Trusted({"A": [pem for pems in trusted.roots.values() for pem in pems]}, GENERAL, trusted.genesis)
    folder = files.folder / "two"
    folder.mkdir(exist_ok=True)
    for name, content in files_of(two).items():
        (folder / name).write_bytes(content)
    assert read_trusted(folder) == two


@pytest.fixture(scope="session")
def alone(files: Files) -> dict[str, str]:
    """The environment of a Python that has cryptography, and nothing else that is installed."""
    library = files.folder / "library"
    library.mkdir()
    packages = Path(str(cryptography.__file__)).parents[1]
    for name in ("cryptography", "cffi", "_cffi_backend*", "pycparser"):
        for found in packages.glob(name):
            (library / found.name).symlink_to(found)
    return {**os.environ, "PYTHONPATH": str(library)}


def run_alone(files: Files, alone: dict[str, str], package: Path, *more: str) -> subprocess.CompletedProcess[str]:
    with zipfile.ZipFile(files.good) as archive:
        (files.folder / "verify.pyz").write_bytes(archive.read("verify.pyz"))
    command = [sys.executable, "-S", "verify.pyz", str(package), "--roots", str(files.roots), *more]
    return subprocess.run(command, env=alone, cwd=files.folder, capture_output=True, text=True, check=False)


def test_the_verifier_in_a_package_says_the_same_with_cryptography_alone(
    files: Files, alone: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for package in (files.good, files.broken):
        code = main(["verify", str(package), "--roots", str(files.roots)])
        done = run_alone(files, alone, package)
        assert (done.returncode, done.stdout, done.stderr) == (code, *capsys.readouterr())
    # Whoever verifies a time stamp needs one more library, and nobody else does.
    (files.folder / "good.tsr").write_bytes(b"a stamp")
    done = run_alone(files, alone, files.good, "--stamp", "good.tsr")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: a time stamp needs rfc3161_client, which is not installed: ")
    script = "from importlib.util import find_spec as find; print(find('orjson'), find('gridledger'), find('pydantic'))"
    command = [sys.executable, "-S", "-c", script]
    done = subprocess.run(command, env=alone, cwd=files.folder, capture_output=True, text=True, check=True)
    assert done.stdout == "None None None\n"


def test_the_verifier_has_the_sources_that_run_here_and_no_others() -> None:
    with zipfile.ZipFile(BytesIO(verifier())) as archive:
        names = archive.namelist()
        for name in names:
            if name == "__main__.py":
                continue
            module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            module = making.STAND_INS.get(module, module)
            __import__(module)
            assert archive.read(name) == Path(str(sys.modules[module].__file__)).read_bytes(), name
    assert "gridledger/evidence/verification.py" in names
    assert not [
        name for name in names if name.startswith(("gridledger/client", "gridledger/ledger", "gridledger/cli/"))
    ]
    making.verifier.cache_clear()
    assert making.verifier() == verifier()


def test_a_source_that_needs_more_than_the_verifier_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    making.verifier.cache_clear()
    monkeypatch.setattr(making, "LIBRARIES", frozenset({"orjson"}))
    with pytest.raises(
        SettingsError, match="imports cryptography, which a verifier with cryptography alone does not have"
    ):
        making.verifier()
    making.verifier.cache_clear()
