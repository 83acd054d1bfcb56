import pytest
from rich.table import Table

from converters.commands.tables import show


def test_a_table_has_room_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("output")
    table.add_row("x" * 100)
    show(table)
    assert "x" * 100 in capsys.readouterr().out
