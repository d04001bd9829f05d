"""The report of the demonstration: what is said of it on one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gridledger.cli.output import time_text
from gridledger.demonstration.report import Cell, Figure, Report, Section, Table, Tone, write_report
from services.vault.demonstration.book import Book
from services.vault.demonstration.storing import readings_of

EXTRA: Final = "vault"
_HASH: Final = 16
_PURPOSES: Final[Mapping[str, Tone]] = {"repair": "warn", "reshare": "warn", "audit": "warn"}


def write_all(out: Path, book: Book) -> None:
    """Write report.html, and each drawing as a PNG file; the folder exists."""
    from services.vault.demonstration import charts  # noqa: PLC0415 -- matplotlib takes a second

    drawings = {name: charts.svg(draw, book) for name, draw in charts.DRAWINGS.items()}
    write_report(out / "report.html", report_of(book, drawings), extra=EXTRA)
    for name, draw in charts.DRAWINGS.items():
        charts.write_png(out / f"{name}.png", draw, book)


def report_of(book: Book, drawings: Mapping[str, str]) -> Report:
    """The page, with its drawings as SVG by name."""
    wrong = sum(not each.held for each in book.expectations)
    count = len(book.expectations)
    return Report(
        title="Any t of n shares give the data back, fewer give nothing",
        subtitle=(
            "Five clusters of a substation keep their monitoring data in shares; manifests, grants and reports stand "
            "on a permissioned ledger, the shares on the holders' disks. Meanwhile holders are killed, a byte flips, a "
            "sensor joins, another is revoked, a peer is cut off, and two holders collude."
        ),
        verdict=f"All {count} expectations held" if not wrong else f"{wrong} of {count} expectations did not hold",
        is_good=not wrong and count > 0,
        figures=_figures(book),
        sections=[
            Section(
                "What befell the clusters",
                "Each step as it came, and what had to hold in it.",
                table=_steps(book),
            ),
            Section(
                "Bytes of a holder",
                "Dots are files on the holders' disks. The source claims 1/(t - 1) of the data; its scheme takes 3 % "
                "more, as 66 bytes hold 64. sealed takes 1/t and 156 bytes, and is secret.",
                svg=drawings["storage"],
                table=_storage(book),
            ),
            Section(
                "Recovery by the number of dead holders",
                "For each number of dead holders: all their sets were tried on the shares that stood on the disks. The "
                "lines are set apart by a little, so that they can be told from each other.",
                svg=drawings["recovery"],
            ),
            Section(
                "What k shares tell",
                "The source calls its scheme equivalent to Shamir's. It has one random number for t - 1 parts, so k "
                "shares tell k - 1 of them; exact, by the rank of the shares over the field.",
                svg=drawings["leak"],
            ),
            Section("Two holders compute a voltage", _collusion_told(book), table=_collusion(book)),
            Section(
                "Ids that S1 tried", "A joining sensor picks its own id, and so may pick a bad one.", table=_ids(book)
            ),
            Section(
                "MB of data a second",
                "In memory, on one core of this machine by the processor's time, without network and ledger. The join "
                "is of shares of parity.",
                svg=drawings["speed"],
            ),
            Section(
                "The forking attack of the source's section 5.1",
                "The formula is Nakamoto's, and about proof of work. As printed (the attacker leads) it exceeds 1; "
                "with the honest in the lead it understates Rosenfeld's exact value. On this ledger the question is "
                "another one: how many organisations' keys must be stolen; here four of six.",
                svg=drawings["attack"],
            ),
            Section("Who read what", "From the ledger: every grant, with its purpose.", table=_reads(book)),
        ],
        footer="Made by gridledger vault demo.",
    )


def _figures(book: Book) -> list[Figure]:
    sealed = next((each for each in book.stored if each.object == readings_of("M3")), None)
    speed = next((each for each in book.speeds if each.profile == "sealed"), None)
    collusion = book.collusion
    figures = []
    if sealed is not None:
        figures.append(
            Figure(
                f"{100 * sealed.disk / sealed.data:.1f} %",
                "of the data on each disk",
                f"M3: {sealed.t} of {sealed.n}; the source: {100 / (sealed.t - 1):.0f} %",
            )
        )
    sets = sum(each.subsets for each in book.recoveries)
    right = sum(each.recovered == (each.subsets if each.n - each.dead >= each.t else 0) for each in book.recoveries)
    figures.append(
        Figure(
            f"{sets}",
            "sets of dead holders tried",
            "all as they must" if right == len(book.recoveries) else "not all",
            "good" if right == len(book.recoveries) else "bad",
        )
    )
    if collusion is not None:
        figures += [
            Figure(str(len(collusion.left_article)), "voltage left to two holders of article",
                   f"of {collusion.candidates}: {', '.join(collusion.left_article)}", "bad"),
            Figure(str(collusion.candidates), "voltages left to two holders of sealed",
                   "every one stays possible", "good" if not collusion.left_sealed else "bad"),
        ]  # fmt: skip
    if speed is not None:
        figures.append(Figure(f"{speed.split:,.0f}", "MB/s split, sealed", f"join {speed.join:,.0f} MB/s"))
    figures.append(Figure(str(len(book.reads)), "reads on the ledger", "repairs and reshares among them"))
    return figures


def _steps(book: Book) -> Table:
    rows, before = [], ""
    for each in book.expectations:
        tone: Tone = "good" if each.held else "bad"
        seen = f" ({each.seen})" if each.seen else ""
        step = "" if each.step == before else each.step
        rows.append([Cell(step), Cell("as it must" if each.held else "failed", tone), Cell(each.text + seen)])
        before = each.step
    return Table(("step", "", "what had to hold, and what was seen"), rows)


def _storage(book: Book) -> Table:
    rows, seen = [], set[str]()
    for each in book.stored:
        if each.object in seen:
            continue
        seen.add(each.object)
        rows.append(
            [
                Cell(each.object),
                Cell(each.profile),
                Cell(f"{each.t} of {each.n}"),
                Cell(f"{each.data:,}"),
                Cell(f"{each.disk:,}"),
                Cell(f"{each.formula:,}"),
                Cell(f"{each.disk / each.data:.4f}"),
                Cell(f"{1 / (each.t - 1):.4f}", "dim"),
            ]
        )
    head = ("object", "profile", "t of n", "bytes of data", "bytes on each disk", "formula", "of the data", "1/(t - 1)")
    return Table(head, rows)


def _collusion_told(book: Book) -> str:
    found = book.collusion
    if found is None:
        return "The step did not come to its end."
    return (
        f"{' and '.join(found.holders)} hold two shares of one record and know all of it but the voltage: one of "
        f"{found.candidates} values. Each value's random number follows from one share, and the other share says "
        f"whether it is that one: {found.seconds:.1f} s. Of sealed they would need the key, and two key shares of "
        "three fit every key."
    )


def _collusion(book: Book) -> Table:
    found = book.collusion
    if found is None:
        return Table((), [])
    good: Tone = "bad" if found.left_article == (found.truth,) else ""
    return Table(
        ("profile", "values left", "what they found", "what was measured"),
        [
            [
                Cell("article"),
                Cell(str(len(found.left_article))),
                Cell(", ".join(found.left_article[:3]), good),
                Cell(found.truth),
            ],
            [
                Cell("sealed"),
                Cell(str(found.candidates)),
                Cell(", ".join(found.left_sealed[:3]) or "nothing", "bad" if found.left_sealed else "good"),
                Cell(found.truth),
            ],
        ],
    )


def _ids(book: Book) -> Table:
    return Table(("id", "what the contract said"), [[Cell(x, mono=True), Cell(told)] for x, told in book.tried])


def _reads(book: Book) -> Table:
    return Table(
        ("granted", "object", "version", "by", "certificate", "purpose"),
        [[*_read(item)] for item in book.reads],
    )


def _read(item: Mapping[str, Any]) -> list[Cell]:
    reader, purpose = item["reader"], str(item["purpose"])
    return [
        Cell(time_text(item["granted_us"])),
        Cell(str(item["object"])),
        Cell(str(item["version"])),
        Cell(str(reader.get("holder") or reader["mspid"])),
        Cell(str(reader["certificate"])[:_HASH], mono=True, title=str(reader["certificate"])),
        Cell(purpose, _PURPOSES.get(purpose, "")),
    ]
