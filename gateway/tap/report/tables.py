"""Parts of a report as tables for a terminal; 80 columns are enough for each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Column, Table

from gateway.tap.report import tabular, words
from gateway.tap.report.model import Case, Report


def outputs(report: Report) -> Table:
    """How far each output was off; what is known of none has no column."""
    shown = (0, 1, 2, 3, 5, 7)  # what 80 columns have room for
    rows = [[row[at] for at in shown] for row in tabular.outputs(report)]
    columns = [(folded if at < 2 else whole)(tabular.OUTPUTS[at]) for at in shown]
    return _filled(columns, rows)


def worst(cases: Sequence[Case]) -> Table:
    """The worst comparisons, with their requests' ids where they have any."""
    rows = [
        (words.case_error(case), words.instant(case.arrived), case.request_id or words.NOTHING, case.reason or "-")
        for case in cases
    ]
    columns = [whole("error"), whole("arrived (UTC)"), folded("request"), folded("why")]
    table = _filled(columns, rows)
    table.title, table.title_justify = "Worst cases", "left"
    return table


def folded(head: str) -> Column:
    """A column of names or sentences, which gives way."""
    return Column(head, overflow="fold")


def whole(head: str) -> Column:
    """A column of figures, which does not."""
    return Column(head, no_wrap=True)


def _filled(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Table:
    """A table without the columns in which nothing stands."""
    used = [at for at in range(len(columns)) if any(row[at] != words.NOTHING for row in rows)]
    table = Table(*(columns[at] for at in used))
    for row in rows:
        table.add_row(*(escape(row[at]) for at in used))
    return table
