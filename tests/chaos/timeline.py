# SPDX-License-Identifier: Apache-2.0
"""Draws a run: who had which volume, what was broken, and what went wrong when."""

from collections.abc import Collection, Mapping, Sequence
from html import escape

from tests.chaos.book import FAULTS, Event
from tests.chaos.history import STORAGE, Access
from tests.chaos.run import Outcome

_LEFT, _LANE, _WIDTH = 220, 22, 1600

_STYLE = """\
body { font: 14px sans-serif; margin: 2em; max-width: 1900px }
svg { border: 1px solid #ccc; background: #fff; font: 11px sans-serif }
.rw { fill: #2b7a3d } .ro { fill: #6aa9d8 } .fault { fill: #d98b19 }
.deed { fill: #888 } .bad { fill: #c0392b } .lane { stroke: #eee }
.law { stroke: #c0392b; stroke-width: 2 }
table { border-collapse: collapse } td, th { padding: .2em .8em; text-align: left }
.wrong { color: #c0392b }
"""


def page(outcome: Outcome, events: Sequence[Event], about: Mapping[str, str]) -> str:
    """Give one HTML page that needs nothing else.

    Args:
        outcome: of the run.
        events: of its book.
        about: what to say of the run above all, a value by its name.
    """
    verdict = "all promises were kept" if outcome.good else "promises were broken"
    parts = [
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Chaos</title>",
        f"<style>{_STYLE}</style><h1>Chaos: {verdict}</h1>",
        _table("The run", about),
        _list("Broken promises", [str(one) for one in outcome.violations]),
        _list("Not at rest", outcome.unsettled),
        _picture(outcome, events),
        _table("Hosts", outcome.deeds),
        _table("Faults", outcome.faults),
        _list("Events", [_line(one) for one in sorted(events, key=_since)]),
    ]
    return "\n".join(parts)


def _since(event: Event) -> float:
    return event.since


def _line(event: Event) -> str:
    return f"{event.since:.1f} to {event.until:.1f} s: {event.lane}: {event.text}"


def _table(title: str, rows: Mapping[str, object]) -> str:
    cells = "".join(
        f"<tr><th>{escape(str(name))}<td>{escape(str(value))}"
        for name, value in rows.items()
    )
    return f"<h2>{escape(title)}</h2><table>{cells}</table>"


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}" for line in lines)
    return f"<h2>{escape(title)} ({len(lines)})</h2><ol>{items}</ol>"


def _picture(outcome: Outcome, events: Sequence[Event]) -> str:
    accesses = outcome.history.accesses
    hosts = {_lane(one) for one in accesses if one.host != STORAGE}
    lanes = hosts | {one.lane for one in events} - {FAULTS}
    rows = {lane: number for number, lane in enumerate([FAULTS, *sorted(lanes)])}
    last = max([one.until for one in events] + [outcome.lasted])
    scale = _WIDTH / max(last, 1.0)
    height = _LANE * (len(rows) + 1)
    drawn = [_background(rows, last, scale)]
    for event in events:
        if event.lane in rows:
            drawn.append(
                _bar(
                    rows[event.lane],
                    event.since * scale,
                    event.until * scale,
                    _kind(event, hosts),
                    _line(event),
                )
            )
    for one in outcome.violations:
        at = _LEFT + one.when * scale
        drawn.append(
            f'<line class=law x1="{at:.1f}" x2="{at:.1f}" y1=0 y2="{height}">'
            f"<title>{escape(str(one))}</title></line>"
        )
    return (
        f'<h2>Timeline</h2><svg width="{_LEFT + _WIDTH + 20}" height="{height}">'
        f"{''.join(drawn)}</svg><p>Green: attached read-write. Blue: read-only. "
        "Grey: copied or moved. Orange: a fault. "
        "Red: an attempt that failed, or a broken promise."
    )


def _lane(access: Access) -> str:
    return f"{access.host}, volume {access.volume[:8]}"


def _kind(event: Event, hosts: Collection[str]) -> str:
    if not event.good:
        return "bad"
    if event.lane == FAULTS:
        return "fault"
    return event.text.partition(" ")[0] if event.lane in hosts else "deed"


def _background(rows: Mapping[str, int], last: float, scale: float) -> str:
    drawn = ""
    for lane, row in rows.items():
        low = _LANE * (row + 1)
        drawn += (
            f'<text x=4 y="{low - 7}">{escape(lane)}</text><line class=lane x1=0 '
            f'x2="{_LEFT + _WIDTH}" y1="{low}" y2="{low}"/>'
        )
    for second in range(0, int(last) + 1, max(10, int(last) // 200 * 10)):
        at = _LEFT + second * scale
        drawn += f'<text x="{at:.0f}" y="{_LANE * (len(rows) + 1) - 6}">{second}</text>'
    return drawn


def _bar(row: int, begin: float, end: float, kind: str, text: str) -> str:
    return (
        f'<rect class="{kind}" x="{_LEFT + begin:.1f}" y="{_LANE * row + 4}" '
        f'width="{max(end - begin, 1.5):.1f}" height="{_LANE - 8}">'
        f"<title>{escape(text)}</title></rect>"
    )
