import base64
import dataclasses
import hashlib
import json
import re

import numpy as np
import pytest

from sis_engine.records import Exhausted, Exit, Life, Trace, Verdict
from sis_engine.remote.pool_facts import PoolFacts
from sis_engine.report.accuracy import error_table
from sis_engine.report.catastrophes import verdict_table
from sis_engine.report.facts import CampaignFacts, State
from sis_engine.report.labels import plan_table
from sis_engine.report.page import environment, render_both, render_report, report_json
from sis_engine.storage.generation import GenerationRecord
from tests.unit.report import synthetic
from tests.unit.report.page_reading import Page


@pytest.fixture(scope="module")
def records():
    return synthetic.records()


@pytest.fixture(scope="module")
def page(records):
    return render_report(records, synthetic.facts())


def test_every_element_that_opens_closes(page):
    assert Page(page).faults == []


def test_ids_are_unique_and_every_inner_link_leads_somewhere(page):
    read = Page(page)
    assert len(read.ids) == len(set(read.ids))
    assert read.links
    assert all(link.startswith("#") and link[1:] in read.ids for link in read.links)


def test_nothing_is_loaded_from_elsewhere(page):
    assert Page(page).loads == []
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name of a namespace, not a place
    assert "@import" not in page
    assert "url(" not in page


def test_the_policy_admits_only_our_own_script(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert policy is not None
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert "default-src 'none'" in policy[1].replace("&#39;", "'")
    assert f"sha256-{digest}" in policy[1].replace("&#43;", "+").replace("&#x2B;", "+")
    assert "eval(" not in script[0]
    assert "innerHTML" not in script[0]


def test_markup_in_configuration_and_messages_is_shown_and_not_obeyed(page):
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)" in page
    read = Page(page)
    assert any(synthetic.EVIL in text for text in read.texts["pre"])


def test_a_system_name_cannot_break_out_of_a_figure_or_the_scene_data(records):
    evil = '"></svg><script>alert(1)</script>'
    first = records[0]
    run = first.explorations[0]
    system = dataclasses.replace(run.replica.system, name=evil)
    replica = dataclasses.replace(run.replica, system=system, id=f"{evil}-r00")
    life = dataclasses.replace(first.lives[0], replica=replica.id, system=evil)
    record = dataclasses.replace(
        first, explorations=(dataclasses.replace(run, replica=replica),), lives=(life,)
    )
    page = render_report((record,), synthetic.facts())
    assert "<script>alert(1)" not in page
    assert Page(page).faults == []


def test_the_same_records_give_the_same_bytes(records):
    first = render_both(records, synthetic.facts())
    for made in (synthetic.generation_zero, synthetic.generation_one, synthetic.generation_two):
        made.cache_clear()
    assert first == render_both(synthetic.records(), synthetic.facts())


def test_html_and_json_come_from_one_reckoning(records, page):
    html, numbers = render_both(records, synthetic.facts())
    assert html == page
    assert numbers == report_json(records, synthetic.facts())


def test_it_stays_small_enough_to_send(page):
    assert len(page.encode()) < 600_000


def test_every_figure_says_what_is_seen(page):
    read = Page(page)
    captions = [text.strip() for text in read.texts["figcaption"]]
    assert len(captions) >= 20
    assert all(len(text) > 30 for text in captions)


def test_rows_of_the_last_generation_come_first(records):
    for table in (error_table(records), verdict_table(records), plan_table(records)):
        generations = [int(row[0]) for row in table.rows]
        assert generations[0] == 2
        assert generations == sorted(generations, reverse=True)


def test_a_table_is_cut_only_where_it_says_so_and_never_on_paper(records, page):
    assert 'class="scroll tall"' not in page
    table = error_table(records)
    long = dataclasses.replace(table, rows=table.rows[:1] * 61)
    blocks = environment("sis_engine.report").get_template("blocks.html.j2").module
    assert "61 rows: scroll" in blocks.table_block(long)
    style, printed = page.split("@media print")
    assert re.findall(r"\n([^\n{]*){[^}]*max-height: \d", style) == [".scroll.tall "]
    assert ".scroll, .scroll.tall { max-height: none; overflow: visible;" in printed


@pytest.mark.parametrize(
    "said",
    [
        "The model of generation 2",
        "Its audit passed",
        "at least 0.47 with 95 % confidence",
        "lammps differs from frozen by 0.74",
        "use timestep_fs: 0.25",
        "0 of 4 died",
        "not finite",
        "10.1021/acs.jpcc.3c05522",
        "10.1016/j.cpc.2021.108171",
        "Reference MD was run initially in 1 segment of 250 fs (0.625 fs timestep, 300 K, CSVR "
        "thermostat; every 2nd frame was used); later in 2 segments of 200 fs (0.5 fs timestep, "
        "300 K, CSVR thermostat; every 4th frame was used).",
        "The last temperature window was 120 to 560 K for the mean over 286 fs",
        "energy (potential energy below -1450.46 eV (suspect))",
        "Limits, geometry, lifsi-dol (generation 2)",
        "shortest distance below: Li–S 1.97 Å",
        "GFN2-xTB",
        "C3H6F2LiNO6S2",
    ],
)
def test_the_page_says(page, said):
    assert said in page.replace("\u00a0", " ")


@pytest.mark.parametrize("state", list(State))
def test_a_campaign_without_generations_has_a_page(state):
    facts = CampaignFacts(name="young", state=state, generation=0, reason="<b>disk full</b>")
    page = render_report((), facts)
    read = Page(page)
    assert read.faults == []
    assert "No model has been admitted" in page
    assert "&lt;b&gt;disk full" in page
    assert read.texts["dd"][:1] == ["–"]  # the acceleration ratio: missing, not zero
    json.loads(report_json((), facts))


def test_pools_are_told_of_where_there_are_some(page):
    assert "Pools of workers" not in page
    pool = PoolFacts("label", 12, 10, 1, 480, 11, 22.0, 600.0, 540.0, 7.0, (("node lost", 1),))
    facts = synthetic.facts(pools=(pool, PoolFacts("train", tasks=1)))
    records = (synthetic.generation_zero(),)
    told = render_report(records, facts).replace("\u00a0", " ")
    for word in ("Pools of workers", "480", "90 %", "node lost 1", "2.00 s", "7.00 s"):
        assert word in told
    label, train = json.loads(report_json(records, facts))["pools"]
    assert (label["open"], label["efficiency"], label["mean_wait_s"]) == (1, 0.9, 2.0)
    assert (train["efficiency"], train["mean_wait_s"]) == (None, None)


def dead_at_once() -> GenerationRecord:
    """Died in generation 0 at step 0, with an empty trace and without a frame."""
    whole = synthetic.generation_zero()
    run = whole.explorations[0]
    empty = Trace(run.trace.replica, np.zeros(0), run.trace.quantities, np.zeros((0, 2)))
    verdict = Verdict(run.replica.id, "explorer", "lost atoms", 0.0, float("nan"), float("nan"))
    gone = dataclasses.replace(run, trace=empty, frames=(), exit=Exit.CRASHED, md_ps=0.0)
    life = Life(0, run.replica.id, "lifsi-dol", "300K", 1, 0.0, censored=False, verdict=verdict)
    return dataclasses.replace(
        whole,
        explorations=(gone,),
        verdicts=(verdict,),
        lives=(life,),
        support=(),
        test=None,
        decision=Exhausted("budget: one generation"),
    )


def test_a_campaign_that_died_in_generation_zero_is_told_as_it_was():
    facts = synthetic.facts(
        state=State.EXHAUSTED, generation=0, acceleration_ratio=None, windows=(), reason="budget"
    )
    page = render_report((dead_at_once(),), facts)
    assert Page(page).faults == []
    assert "is not stable: 1 of 1" in page.replace("\u202f", "")
    assert "has not been audited" in page
    assert "No replica has ended in a catastrophe with frames to show" in page
    assert "NaN" not in report_json((dead_at_once(),), facts)


def test_a_generation_whose_model_was_never_admitted_has_a_page():
    whole = synthetic.generation_zero()
    refused = synthetic.challenger(0, "first", 0.46, passed=False)
    diverged = dataclasses.replace(
        refused, kind="scratch", training=None, admission=None, problem="the loss is not finite"
    )
    record = dataclasses.replace(
        whole, challengers=(refused, diverged), model=None, explorations=(), lives=(), verdicts=(),
        triages=(), test=None, decision=None,
    )  # fmt: skip
    page = render_report((record,), synthetic.facts(state=State.PAUSED, generation=0))
    assert Page(page).faults == []
    assert "No challenger was admitted" in page
    assert "the loss is not finite" in page
    assert "No model has been admitted" in page
