"""A story's rows as the ledger would have them, without a ledger: each happening is committed at once."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from gridledger.evidence.events import PRIVATE_KINDS
from services.case.replay.story import Denial, Login, Logout, Order, Said, Story
from services.case.rows import Row
from tests.support.told_rows import at, closed, denied, event, opened, row

_APART_S = 60.0


def rows_of_story(story: Story) -> list[Row]:
    """All rows. Sessions are flagged as the contract flags them."""
    rows: list[Row] = []
    sessions: dict[str, tuple[Login, float]] = {}
    open_ones: set[str] = set()
    sections = {name: device.section for name, device in story.cast.devices.items()}
    seqs: dict[str, int] = {}

    def say(said: Said, seconds: float) -> None:
        seqs[said.device] = seqs.get(said.device, 0) + 1
        members: dict[str, Any] = {"body": dict(said.body)} if said.kind not in PRIVATE_KINDS else {}
        told = event(said.device, seconds + said.ahead_s, said.kind, seqs[said.device], **members)
        rows.append(_at(told, sections[said.device], seconds))

    for each in story.happenings:
        seconds = story.pace.replay_s(each.at_s)
        match each:
            case Login():
                flags = [
                    {"why": why, "session": name}
                    for name, (other, opened_s) in sessions.items()
                    if other.operator == each.operator
                    for why, is_so in (
                        ("two-sessions", name in open_ones),
                        ("two-terminals", other.terminal != each.terminal and seconds - opened_s <= _APART_S),
                    )
                    if is_so
                ]
                told = {"suspicious": flags} if flags else {}
                marks = {"suspicious": len(flags)} if flags else {}
                more: dict[str, Any] = {
                    "text": told,
                    "marks": marks,
                    "certificate": sha256(each.operator.encode()).hexdigest(),
                }
                rows.append(opened(each.session, seconds, each.operator, each.terminal, **more))
                sessions[each.session] = each, seconds
                open_ones.add(each.session)
            case Logout():
                login = sessions[each.session][0]
                rows.append(closed(each.session, seconds, login.operator, login.terminal))
                open_ones.remove(each.session)
            case Denial():
                rows.append(denied(each.operator, each.terminal, seconds))
            case Order():
                assert each.session in open_ones, each
                operator = sessions[each.session][0].operator
                text = {"command": each.command, "value": each.value}
                rows.append(
                    row(
                        "command-issued",
                        seconds,
                        text=text,
                        device=each.device,
                        session=each.session,
                        operator=operator,
                    )
                )
                if each.obeyed:
                    say(Said(each.at_s, each.device, "command", {"command": each.command}), seconds + 0.2)
            case Said():
                say(each, seconds)
    return rows


def _at(told: Row, section: str, seconds: float) -> Row:
    return Row(**{**told.to_dict(), "channel": section, "block_us": at(seconds + 0.1), "at_us": at(seconds)})
