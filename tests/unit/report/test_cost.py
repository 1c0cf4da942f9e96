import pytest

from sis_engine.report.cost import cost_figure, evaluation_table, stage_minutes
from sis_engine.report.why import chapters
from tests.unit.report import synthetic


def number(cell: str) -> int:
    return 0 if cell == "–" else int(cell.replace("\u202f", ""))


def test_rows_and_columns_of_the_evaluations_add_up():
    """A segment's plan also pays for the search of its start: purposes are the ledger's."""
    rows = evaluation_table(synthetic.records(), synthetic.facts()).rows
    for name, *cells in rows:
        *generations, total, _, _ = map(number, cells)
        assert sum(generations) == total, name
    *parts, everything = ([number(cell) for cell in cells] for _, *cells in rows)
    assert [sum(column) for column in zip(*parts, strict=True)] == everything
    assert {name: cells[1] for name, *cells in rows}["bisect"] == "6"


def test_bars_and_log_count_as_the_table_does():
    records, facts = synthetic.records(), synthetic.facts()
    bars, _ = cost_figure(records, facts).panels
    assert "generation 1, segment: 401 evaluations" in bars
    assert "generation 1, bisect: 6 evaluations" in bars
    log = chapters(records, facts)[1].lines
    assert "Spent 438 evaluations: 401 segment, 6 bisect, 1 suspect, 30 audit." in log


def test_a_generation_that_the_ledger_knows_nothing_of_has_no_number():
    rows = evaluation_table(synthetic.records(), synthetic.facts(evaluations_by_generation=())).rows
    assert {cell for name, *cells in rows if name != "all" for cell in cells[:3]} == {"–"}


def test_the_labels_of_audits_are_not_time_of_deciding():
    found = stage_minutes(synthetic.generation_two())
    assert found["audit"] == pytest.approx(2 * 0.05 / 60.0)
    assert found["decide"] == pytest.approx((0.2 - 2 * 0.05) / 60.0)
    assert "audit" not in stage_minutes(synthetic.generation_zero())
