"""The page, figures and tables of results that are known."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest

from sis_engine.comparison.drawing import Drawing, Line, Mark, on_screen, stepped
from sis_engine.comparison.figures import plates
from sis_engine.comparison.numbers import numbers
from sis_engine.comparison.outcomes import case_outcome
from sis_engine.comparison.page import render
from sis_engine.comparison.paper_figures import write_figures
from sis_engine.comparison.plan import read_comparison
from sis_engine.comparison.tables import as_csv, as_latex, tables
from sis_engine.comparison.writing import outcomes
from sis_engine.report.scale import Axis
from tests.unit.comparison.samples import exam, run

SMOKE = Path(__file__).parents[3] / "configs" / "smoke.yaml"
TEXT = f"""
name: little
campaign: {SMOKE}
arms: {{sis: {{}}, other: {{sampler: {{segment: {{length_fs: 50.0}}}}}}}}
seeds: [0, 1, 2, 3]
costs: [500, 1000]
examiner: {{reference: {{length_ps: 1.0, timestep_fs: 2.0, every_steps: 5}}, replicas: 4}}
"""


@pytest.fixture
def comparison(tmp_path):
    (tmp_path / "compare.yaml").write_text(TEXT)
    return read_comparison(tmp_path / "compare.yaml")


def _results():
    random = np.random.default_rng(7)
    own = [run("sis", k, int(x)) for k, x in enumerate(random.integers(800, 1200, 4))]
    wrong = (exam(700, lives=(3.0, 20.0, 8.0, 20.0), relative=0.4, right=False),)
    dead = (exam(600, lives=(0.1, 0.2, 0.1, 0.3), relative=0.9, right=False),)
    return [
        *own,
        run("other", 0, 700, exams=wrong),
        run("other", 1, 3900, end="out_of_budget", exams=dead),
        run("other", 2, 2500),
        run("other", 3, 300, end="refused", exams=()),
    ]


def test_the_page_needs_nothing_else_and_tells_every_run(comparison):
    results = _results()
    page = render(comparison, results, outcomes(comparison, results), "sis compare compare.yaml")
    assert not re.search(r"(src|href)=[\"']?https?:", page)
    assert "8 of 8 runs finished" in page
    assert "sis has the lowest restricted mean cost" in page
    assert "other 1 of 2" in page  # ended stable by its own word but did not pass
    assert page.count("<tr>") > 20
    shown = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    assert "nan" not in shown
    assert "out of budget" in page
    assert "refused" in page


def test_an_unfinished_comparison_says_so_first(comparison):
    results = _results()[:3]
    page = render(comparison, results, outcomes(comparison, results), "sis compare compare.yaml")
    assert "3 of 8 runs finished" in page
    assert "preliminary" in page


def test_runs_by_different_code_are_told(comparison):
    results = _results()
    other = results[0].model_copy(update={"made": {**results[0].made, "code": "def"}})
    results = [other, *results[1:]]
    page = render(comparison, results, outcomes(comparison, results), "sis compare compare.yaml")
    assert "2 versions of the engine" in page


def test_the_raw_numbers_have_the_promised_form(comparison):
    results = _results()
    found = numbers(comparison, results, outcomes(comparison, results))
    assert list(found["arms"]) == ["sis", "other"]
    first = found["arms"]["sis"]["runs"][0]
    wanted = {"seed", "evaluations", "reached", "passed", "survival_ps", "force_rmse"}
    assert wanted | {"rdf_error", "train_s", "md_s"} <= set(first)
    assert (first["reached"], first["passed"], first["survival_ps"]) == (True, True, 20.0)
    refused = found["arms"]["other"]["runs"][3]
    assert (refused["reached"], refused["passed"], refused["force_rmse"]) == (False, False, None)


def _case():
    return case_outcome("", _results(), ("sis", "other"), "sis", (500, 1000))


def test_tables_as_csv_have_a_row_for_each_and_plain_numbers():
    for table in tables(_case()):
        rows = list(csv.reader(io.StringIO(as_csv(table))))
        assert rows[0] == [column.name for column in table.columns]
        assert len(rows) == 1 + len(table.rows)
        assert "\u202f" not in as_csv(table)
        assert "−" not in as_csv(table)


def test_tables_as_latex_escape_what_latex_would_read():
    for table in tables(_case()):
        text = as_latex(table)
        body = text.split("\\midrule\n")[1].split("\n\\bottomrule")[0].split("\n")
        assert len(body) == len(table.rows)
        for line in body:
            assert line.count("&") - line.count("\\&") == len(table.columns) - 1
        assert not re.search(r"(?<!\\)[%#]", text.split("\n", 1)[1])
        assert text.isascii() or "Kaplan–Meier" in text


def test_figures_are_vector_files_and_the_same_each_time(tmp_path):
    drawings = [item for plate in plates(_case()) for item in plate.drawings]
    assert len({drawing.id for drawing in drawings}) == len(drawings)
    chosen = [drawing for drawing in drawings if drawing.id in {"reach-share", "time"}]
    first = {p.name: p.read_bytes() for p in write_figures(chosen, tmp_path / "a")}
    second = {p.name: p.read_bytes() for p in write_figures(chosen, tmp_path / "b")}
    assert first == second
    assert first["time.pdf"].startswith(b"%PDF")
    assert b"<svg" in first["reach-share.svg"]
    assert b"<image" not in first["reach-share.svg"]


def test_the_share_that_passed_is_drawn_where_it_rises():
    """Stairs to 4/4 at the dearest of four runs."""
    (plate, *_) = plates(_case())
    line = plate.drawings[0].lines[0]
    assert line.ys[0] == 0.0
    assert line.ys[-1] == pytest.approx(1.0)
    dearest = max(item.evaluations for item in _results()[:4])
    assert line.xs[line.ys.index(1.0)] == pytest.approx(dearest)


def test_stairs_have_their_corners():
    xs, (ys,) = stepped((0.0, 1.0, 3.0), (0.0, 0.5, 1.0))
    assert xs == (0.0, 1.0, 1.0, 3.0, 3.0)
    assert ys == (0.0, 0.0, 0.5, 0.5, 1.0)


def test_a_drawing_on_screen_has_its_marks_and_their_intervals():
    drawing = Drawing(
        "d",
        "title",
        Axis("x", 0.0, 2.0),
        Axis("y", 0.0, 2.0),
        lines=(Line((0.0, 1.0), (0.0, 1.0), 0),),
        marks=(Mark(1.0, 1.0, 0, 0.5, 1.5), Mark(0.5, 1.0, 1, 0.2, 0.9, lying=True, hollow=True)),
        legend=(("one", 0), ("two", 1)),
    )
    svg = on_screen(drawing)
    assert svg.count('class="whisker') == 1
    assert svg.count('class="ring') == 1
    assert "two" in svg
