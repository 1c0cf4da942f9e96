"""The page, figures and tables of results that are known."""

import csv
import functools
import io
import re
from pathlib import Path

import numpy as np
import pytest

from sis_engine.comparison.outcomes import case_outcome
from sis_engine.comparison.plan import read_comparison
from sis_engine.comparison.report.drawing import REFERENCE, Drawing, Line, Mark, on_screen, stepped
from sis_engine.comparison.report.figures import plates
from sis_engine.comparison.report.numbers import numbers
from sis_engine.comparison.report.page import render
from sis_engine.comparison.report.paper_figures import colour, write_figures
from sis_engine.comparison.report.tables import as_csv, as_latex, tables
from sis_engine.comparison.report.writing import outcomes
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
    assert "less than other (adjusted p &lt; 0.05)" in page
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
    assert first["rdf_floor"] == pytest.approx(0.01)
    assert first["models"][0]["lives_ps"] == [1.0, 5.0]
    examined = first["by_cost"][0]
    assert examined["bonds"][0]["broken"] == [["C-O", 0.5], ["C-H", 0.25]]
    assert examined["pairs"][0]["floor"] == pytest.approx(0.01)
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


@pytest.mark.slow
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


def _cell(table, arm, column):
    names = [item.name for item in table.columns]
    return next(row[names.index(column)] for row in table.rows if row[0] == arm)


def _table(case, name):
    return next(table for table in tables(case) if table.id == name)


def _drawings(case):
    return {drawing.id: drawing for plate in plates(case) for drawing in plate.drawings}


def test_runs_that_are_all_alike_have_a_footnote_and_no_interval():
    case = _many(2, cost=450)
    table = _table(case, "arms")
    assert _cell(table, "arm0", "restricted mean") == "450†"
    assert "† all runs alike: no interval from them." in table.caption
    assert "450†" not in as_csv(table)
    assert "450$^\\dagger$" in as_latex(table)


def test_an_arm_of_which_none_passed_has_no_mean_cost():
    wrong = (exam(1500, right=False),)
    results = [run("sis", k, 1500, end="out_of_budget", exams=wrong) for k in range(4)]
    case = case_outcome("", results, ("sis",), "sis", ())
    assert _cell(_table(case, "arms"), "sis", "restricted mean") == "–"
    (mark,) = _drawings(case)["reach-mean"].marks
    assert mark.hollow
    assert mark.low is None


def test_the_papers_acceleration_ratio_of_single_points_is_explained():
    single = {"initial": 100, "single": 900}
    results = [run("sis", k, 1000 + k) for k in range(4)]
    results += [run("other", k, 1000 + k, by_purpose=single) for k in range(4)]
    table = _table(case_outcome("", results, ("sis", "other"), "sis", ()), "arms")
    assert not _cell(table, "sis", "AR, paper’s form").endswith("‡")
    assert _cell(table, "other", "AR, paper’s form").endswith("‡")
    assert "‡ labels single points, which are no reference MD" in table.caption


def test_an_rdf_error_stands_beside_its_floor_and_is_marked_when_not_above_it():
    """The sample's floor is 0.01, its error a fifth of the relative force error."""
    below = [run("sis", k, 900 + k, exams=(exam(900, relative=0.04),)) for k in range(4)]
    over = [run("other", k, 900 + k, exams=(exam(900, relative=0.4),)) for k in range(4)]
    case = case_outcome("", [*below, *over], ("sis", "other"), "sis", (1000,))
    final = {row[0]: row[1:] for row in _table(case, "final").rows}
    assert final["RDF error / Å"] == ("0.00800†§", "0.0800†")
    assert final["RDF error, floor"] == ("0.0100", "0.0100")
    (pair,) = _table(case, "pairs").rows
    assert pair == ("cluster", "Ar-Ar", "g(r)", "0.0100", "0.00800†§", "0.0800†")
    assert _cell(_table(case, "runs"), "sis", "RDF error / Å") == "0.00800§"
    (rule,) = _drawings(case)["cost-rdf-error"].rules
    assert (rule.value, rule.text) == (pytest.approx(0.01), "floor")


def test_errors_of_densities_of_distances_have_no_unit():
    def bare(evaluations):
        found = exam(evaluations)
        pairs = [pair.model_copy(update={"kind": "density / (1/Å)"}) for pair in found.pairs]
        return found.model_copy(update={"pairs": tuple(pairs)})

    results = [run("sis", k, 900, exams=(bare(900),)) for k in range(3)]
    case = case_outcome("", results, ("sis",), "sis", ())
    assert "RDF error" in {row[0] for row in _table(case, "final").rows}


def test_every_model_of_every_seed_has_its_lives_and_its_bonds():
    results = [run("sis", 10, 900), run("sis", 24, 1000)]
    lived = results[0].models[0].model_copy(update={"censored": (False, True)})
    results[0] = results[0].model_copy(update={"models": (lived, *results[0].models[1:])})
    case = case_outcome("", results, ("sis",), "sis", ())
    rows = _table(case, "models").rows
    assert [row[:2] for row in rows] == [("sis", seed) for seed in ("10", "10", "24", "24")]
    assert rows[0][4:6] == ("1.00, 5.00+", "20.0+, 20.0+, 20.0+, 20.0+")
    assert rows[0][8:] == (
        "C-O 50.0\u00a0%, C-H 25.0\u00a0%",
        "C-O 100\u00a0%, C-H 100\u00a0%",
        "1.0",
    )
    drawing = _drawings(case)["models-sis"]
    assert [text for text, _ in drawing.legend] == ["seed 10", "seed 24"]
    assert [line.series for line in drawing.lines] == [0, 1]
    assert [mark.hollow for mark in drawing.marks[:2]] == [False, True]


@functools.cache
def _many(n_arms, costs=(200, 400), cost=None):
    """Arms of four seeds, the first examined at both costs."""
    arms = tuple(f"arm{k}" for k in range(n_arms))
    results = [
        run(arm, k, cost or 500 + 20 * k + 7 * number, exams=(exam(150), exam(cost or 500)))
        for number, arm in enumerate(arms)
        for k in range(4)
    ]
    found = case_outcome("", results, arms, arms[0], costs)
    assert found is not None
    return found


@pytest.mark.parametrize("n_arms", [3, 9])
def test_arms_side_by_side_stay_near_their_cost_and_the_caption_says_so(n_arms):
    case = _many(n_arms)
    drawing = _drawings(case)["cost-force-rmse"]
    for cost in (200, 400):
        near = [mark.x for mark in drawing.marks if abs(mark.x - cost) < 100]
        assert len(near) == n_arms
        assert max(near) - min(near) <= 0.15 * 200 + 1e-9
        assert np.mean(near) == pytest.approx(cost)
    (plate,) = [plate for plate in plates(case) if plate.id == "by-cost"]
    assert "at most 15 evaluations beside the cost" in plate.caption


def test_the_reference_has_no_arms_colour_and_is_dashed_in_the_legend_too():
    drawing = _drawings(_many(9))["pair-cluster-Ar-Ar"]
    reference = drawing.lines[-1]
    assert (reference.series, reference.dashed) == (REFERENCE, True)
    assert drawing.legend[-1] == ("reference", REFERENCE)
    assert colour(REFERENCE) == "black"
    assert on_screen(drawing).count('class="line dashed ink"') == 2


@pytest.mark.parametrize(("n_arms", "bands"), [(3, 3), (4, 0)])
def test_bands_are_drawn_for_few_arms_only(n_arms, bands):
    drawing = _drawings(_many(n_arms))["reach-share"]
    assert len(drawing.areas) == bands
    assert len(drawing.marks) == (0 if bands else n_arms)


def test_a_band_ends_where_nobody_is_at_risk():
    """All passed at 560 at the latest; the horizon is 4000."""
    drawing = _drawings(_many(1))["reach-share"]
    assert drawing.areas[0].xs[-1] == 560.0
    assert drawing.lines[0].xs[-1] == 4000.0


def test_names_of_arms_stand_beside_lying_bars():
    drawing = _drawings(_many(3))["time"]
    assert [text for _, text in drawing.y.marks] == ["arm0", "arm1", "arm2"]
    assert {bar.y for bar in drawing.bars} == {1.0, 2.0, 3.0}
    rows = [
        element for element in re.findall(r"<rect[^>]*>", on_screen(drawing)) if "bar" in element
    ]
    heights = {re.search(r' height="([^"]*)"', row)[1] for row in rows[:9]}
    assert len(heights) == 1


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
