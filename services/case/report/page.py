"""The page: what stands in it, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gridledger.cli.output import time_text
from gridledger.demonstration.report import Cell, Figure, Report, Section, Table, Tone, write_report
from services.case.callers import who
from services.case.report import charts
from services.case.report.dossier import Dossier, Packed
from services.case.rows import Row
from services.case.rules.finding import Finding, Pointer

EXTRA: Final = "forensics"
MAX_TOLD: Final = 400
"""Rows that the page lists: those that findings rest on first."""
_TEXT: Final = 140
_HASH: Final = 16
_TONES: Final[Mapping[str, Tone]] = {"proved": "good", "broken": "bad", "not-anchored": "warn"}
_LEFT_OUT: Final = {
    "scope": "beyond the case's scope",
    "not_valid": "of transactions that were not valid, which are no evidence",
    "told_elsewhere": "whose block lies in the time asked for, and whose own time does not",
    "undated": "that tell no time",
    "limit": "behind the last page that was read",
}


def write_case_report(path: Path, dossier: Dossier) -> None:
    """Write the page; its folder exists. Raises MissingExtra without the extra ``forensics``."""
    write_report(path, case_report(dossier), extra=EXTRA)


def case_report(dossier: Dossier) -> Report:
    """The page of a case."""
    findings = dossier.examined.findings
    good = all(held for _, held in dossier.expectations) and _outcome(dossier.packed) != "broken"
    return Report(
        title=f"Case {dossier.case['case']}",
        subtitle=str(dossier.case["purpose"]),
        verdict=_verdict(dossier),
        is_good=good,
        figures=_figures(dossier),
        sections=[
            Section("Purpose and scope", "Who asked, who approved, and what may be looked at.", table=_scope(dossier)),
            Section(
                "What the rules found",
                "Each is a suspicion with the rows that it rests on, not a judgement. A proof says that a device or an "
                "operator's key said something, not that it was true.",
                svg=charts.timeline(dossier.rows, findings) if dossier.rows else "",
                table=_found(findings),
            ),
            *(Section(each.heading, each.lead, svg=each.svg) for each in dossier.drawings),
            Section("Timeline", _timeline_lead(dossier), table=_timeline(dossier)),
            Section(
                "What was left out", "Counts of what fits the question and is not in this report.", table=_left(dossier)
            ),
            Section(
                "Proofs",
                "The package verifies offline, with the roots of the organisations' CAs and the header hash of "
                "General's first block: gridledger case verify FILE --roots DIR.",
                table=_proofs(dossier.packed),
            ),
            Section(
                "Queries",
                "Each stood on the ledger, valid, before it was answered.",
                table=_queries(dossier.queries),
            ),
            Section("How the rules were applied", "", table=_parameters(dossier)),
        ],
        expectations=dossier.expectations,
        footer=f"Made {time_text(dossier.made_us)}. Times are UTC.",
    )


def _verdict(dossier: Dossier) -> str:
    count = len(dossier.examined.findings)
    told = f"{count} finding{'' if count == 1 else 's'}"
    outcome = _outcome(dossier.packed)
    proofs = {
        "proved": "the evidence is proved",
        "broken": "the evidence is BROKEN",
        "not-anchored": "not anchored yet",
    }
    return f"{told}, {proofs[outcome]}" if outcome else told


def _outcome(packed: Packed | None) -> str:
    return "" if packed is None or packed.verification is None else str(packed.verification["outcome"])


def _figures(dossier: Dossier) -> list[Figure]:
    findings = dossier.examined.findings
    figures = [
        Figure(str(len(findings)), "findings", f"by {len({each.rule for each in findings})} rules"),
        Figure(
            f"{dossier.examined.rows:,}", "rows looked at", f"of {len({row.channel for row in dossier.rows})} channels"
        ),
        Figure(str(len(dossier.queries)), "queries", "on the ledger before their answers"),
    ]
    if dossier.packed is not None:
        outcome = _outcome(dossier.packed) or "not verified here"
        figures.append(
            Figure(outcome, "package", f"{dossier.packed.size / 1e6:.1f} MB", _TONES.get(outcome, "warn")),
        )
    return figures


def _scope(dossier: Dossier) -> Table:
    case, scope = dossier.case, dossier.case["scope"]
    approved, closed = case.get("approved"), case.get("closed")
    rows = [
        ("opened", f"{time_text(int(case['opened_us']))} by {who(case['by'])}"),
        (
            "approved",
            f"{time_text(int(approved['time_us']))} by {who(approved['by'])}" if approved else "not approved",
        ),
        ("channels", ", ".join(scope["channels"])),
        ("time", f"{time_text(int(scope['from_us']))} to {time_text(int(scope['to_us']))}"),
        *((name, ", ".join(scope[name])) for name in ("devices", "operators", "kinds") if scope.get(name)),
        ("status", f"closed {time_text(int(closed['time_us']))}" if closed else str(case["status"])),
    ]
    return Table(("", ""), [[Cell(name, "dim"), Cell(told)] for name, told in rows])


def _found(findings: Sequence[Finding]) -> Table:
    rows = [
        [
            Cell(time_text(each.from_us)),
            Cell(each.rule, "bad"),
            Cell(f"{len(each.rows) + each.more}", title=_where(each.rows[0])),
            Cell(each.text),
        ]
        for each in findings
    ]
    return Table(("from", "rule", "rows", "what was found"), rows)


def _where(pointer: Pointer) -> str:
    return f"{pointer.channel}, block {pointer.block}, transaction {pointer.tx_id}"


def _told_rows(dossier: Dossier) -> list[Row]:
    """The rows that are listed, in order: those of findings before others, as many as the page takes."""
    wanted = {pointer for each in dossier.examined.findings for pointer in each.rows}
    of_findings = [row for row in dossier.rows if Pointer.to(row) in wanted][:MAX_TOLD]
    rest = MAX_TOLD - len(of_findings)
    others = [row for row in dossier.rows if Pointer.to(row) not in wanted]
    kept = {Pointer.to(row) for row in (*of_findings, *others[:rest])}
    return [row for row in dossier.rows if Pointer.to(row) in kept]


def _timeline_lead(dossier: Dossier) -> str:
    told = len(_told_rows(dossier))
    return (
        f"By the time that was told; the block's time stands beside it. {told} of {len(dossier.rows)} rows: those that "
        "findings rest on, and then the first. The whole is in timeline.csv (gridledger case export)."
    )


def _timeline(dossier: Dossier) -> Table:
    rules: dict[Pointer, list[str]] = {}
    for each in dossier.examined.findings:
        for pointer in each.rows:
            rules.setdefault(pointer, []).append(each.rule)
    rows = []
    for row in _told_rows(dossier):
        found = rules.get(Pointer.to(row), [])
        said = "undated" if row.said_us is None else time_text(row.said_us)
        who = " ".join(name for name in (row.device, row.operator, row.terminal, row.session) if name)
        marks = ", ".join(f"{name} {value}" for name, value in sorted(row.marks.items()))
        rows.append(
            [
                Cell(said, "warn" if row.said_us is None or row.marks else "", title=marks),
                Cell(time_text(row.block_us), "dim"),
                Cell(row.channel, "dim"),
                Cell(row.kind),
                Cell(who),
                Cell(", ".join(dict.fromkeys(found)), "bad" if found else ""),
                Cell(row.tx_id[:_HASH], "dim", mono=True, title=f"block {row.block}, transaction {row.tx_id}"),
                Cell(row.text if len(row.text) <= _TEXT else f"{row.text[:_TEXT]}...", "dim"),
            ]
        )
    return Table(("told", "block", "channel", "kind", "who", "rule", "transaction", "what"), rows)


def _left(dossier: Dossier) -> Table:
    told = [
        (_LEFT_OUT.get(name, name), "more than were counted" if count is None else f"{count:,}")
        for name, count in dossier.left_out.items()
    ]
    told += [(f"rule {name}: {why}", "not applied") for name, why in dossier.examined.not_applied.items()]
    rows = [[Cell(what), Cell(count)] for what, count in told]
    return Table(("rows", "how many"), rows or [[Cell("nothing"), Cell("0")]])


def _proofs(packed: Packed | None) -> Table:
    if packed is None:
        return Table(("", ""), [[Cell("package", "dim"), Cell("none was made")]])
    rows = [
        [Cell("file", "dim"), Cell(f"{packed.file}, {packed.size:,} bytes")],
        [Cell("SHA-256", "dim"), Cell(packed.sha256, mono=True)],
    ]
    verification = packed.verification
    if verification is not None:
        outcome = str(verification["outcome"])
        rows.append([Cell("outcome", "dim"), Cell(outcome, _TONES.get(outcome, "warn"))])
        rows.append([Cell("transactions", "dim"), Cell(str(len(verification["transactions"])))])
        rows.append([Cell("events of devices", "dim"), Cell(str(len(verification["events"])))])
        rows.append([Cell("disclosed beside", "dim"), Cell(str(verification["disclosed"]))])
        if verification["stamp"] is not None:
            rows.append([Cell("time stamp", "dim"), Cell(_stamp(verification["stamp"]))])
        rows += [
            [Cell(f"anchored: {channel}", "dim"), Cell(f"{', '.join(each['attested'])} ({each['needed']} needed)")]
            for channel, each in verification["organisations"].items()
        ]
        rows += [[Cell("note", "dim"), Cell(str(note))] for note in verification["notes"]]
        rows += [
            [Cell("BROKEN", "bad"), Cell(f"{step['step']} {step['file']}: {step['message']}")]
            for step in verification["steps"]
            if not step["holds"]
        ]
    return Table(("", ""), rows)


def _stamp(stamp: Mapping[str, Any]) -> str:
    told = f"{time_text(int(stamp['time_us']))} by {stamp['authority']}"
    return told if stamp["verified"] else f"{told}, not verified"


def _queries(queries: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            Cell(time_text(int(each["time_us"]))),
            Cell(who(each["by"])),
            Cell(str(each["text"]), "dim", mono=True),
            Cell(str(each["tx"])[:_HASH], "dim", mono=True, title=str(each["tx"])),
        ]
        for each in queries
    ]
    return Table(("time", "by", "text", "transaction"), rows)


def _parameters(dossier: Dossier) -> Table:
    rows = [
        [Cell(rule), Cell(", ".join(f"{name} {value:g}" for name, value in values.items()) or "none", "dim")]
        for rule, values in dossier.examined.used.items()
    ]
    return Table(("rule", "values"), rows)
