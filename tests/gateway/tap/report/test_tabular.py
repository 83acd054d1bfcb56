from gateway.tap.report import tabular
from tests.gateway.tap.report.reports import full


def test_each_output_has_a_row_with_every_column() -> None:
    report = full()
    rows = tabular.outputs(report)
    assert [row[0] for row in rows] == sorted(report.outputs)
    assert {len(row) for row in rows} == {len(tabular.OUTPUTS)}
    scores = dict(zip(tabular.OUTPUTS, rows[[row[0] for row in rows].index("scores")], strict=True))
    assert (scores["type"], scores["agree"], scores["cosine"]) == ("FP32 [1, 10]", "97.49 %", "0.997527")


def test_both_sides_have_their_percentiles() -> None:
    rows = tabular.latencies(full())
    assert [row[0] for row in rows] == ["baseline", "candidate"]
    assert {len(row) for row in rows} == {len(tabular.LATENCIES)}
    assert all(each.endswith(("ms", "µs", "s")) for row in rows for each in row[1:])
