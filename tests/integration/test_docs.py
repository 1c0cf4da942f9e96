"""The documentation says what is so: its examples run, its generated pages are up to date."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.calculators.emt import EMT

from sis_engine.commands.lineage import lineage
from sis_engine.commands.status import status
from sis_engine.report.summary import summary_json

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _blocks(page: Path, language: str) -> list[str]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


def _written(page: Path, folder: Path, module: str, test: str) -> None:
    """The page's package, installed as pip would: the module, and its entry points."""
    (toml,), (code, tests) = _blocks(page, "toml"), _blocks(page, "python")
    target = folder / module
    target.parent.mkdir(parents=True)
    target.write_text(code, encoding="utf-8")
    (folder / test).write_text(tests, encoding="utf-8")
    project = tomllib.loads(toml)["project"]
    installed = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (installed / "entry_points.txt").write_text("\n".join(lines) + "\n")


def _python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


EXAMPLES = [
    ("monitor", "my_monitors/simmer.py", "test_simmer.py", "MONITOR", "simmer"),
]
PLUGIN = DOCS / "extending" / "my-labelers"
"""The labeler of the page as a package: the very files that a reader would write."""


@pytest.mark.slow
@pytest.mark.parametrize(("page", "module", "test", "kind", "name"), EXAMPLES)
def test_the_example_plugin_is_found_and_keeps_its_contract(
    page, module, test, kind, name, tmp_path
):
    _written(DOCS / "extending" / f"{page}.md", tmp_path, module, test)
    found = _python(
        tmp_path,
        "-c",
        f"from sis_engine.plugins import Kind, configure\n"
        f"print(type(configure(Kind.{kind}, {{'type': {name!r}}}, key='k')).__module__)",
    )
    assert found.stdout.strip() == module.removesuffix(".py").replace("/", "."), found.stderr
    ran = _python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", test)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


def test_the_page_on_labelers_shows_the_files_of_the_package() -> None:
    page = DOCS / "extending" / "labeler.md"
    shown = [*_blocks(page, "toml"), *_blocks(page, "python")]
    names = ("pyproject.toml", "my_labelers/emt.py", "test_emt.py")
    assert shown == [(PLUGIN / name).read_text(encoding="utf-8") for name in names]
    tree = page.read_text(encoding="utf-8").partition("my-labelers/\n")[2].partition("```")[0]
    files = {str(f.relative_to(PLUGIN)) for f in PLUGIN.rglob("*") if f.is_file()}
    assert set(tree.split()) == {name for name in files if "__pycache__" not in name}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built and installed by pip into a folder of its own."""
    place = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(PLUGIN, place / "source")  # building writes into it
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    done = _python(place, *pip, "--target", str(place / "site"), str(source))
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "site"


@pytest.mark.slow
def test_the_package_is_found_by_its_entry_point_and_keeps_its_contract(installed, tmp_path):
    (info,) = installed.glob("*.dist-info")
    assert "emt = my_labelers.emt:EmtLabeler" in (info / "entry_points.txt").read_text()
    found = _python(
        installed,
        "-c",
        "from sis_engine.plugins import Kind, load\nprint(load(Kind.LABELER, 'emt').__module__)",
    )
    assert found.stdout.strip() == "my_labelers.emt", found.stderr
    shutil.copy(PLUGIN / "test_emt.py", installed)
    ran = _python(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_emt.py")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


@pytest.mark.slow
def test_the_package_labels_a_file_from_the_command_line(installed, tmp_path):
    out = tmp_path / "out.extxyz"
    program = "from sis_engine.cli.main import main; main()"
    asked = ("label", str(PLUGIN / "cluster.xyz"), "--with", "emt", "--out", str(out))
    done = _python(installed, "-c", program, *asked)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 structures labelled" in done.stdout
    atoms = ase.io.read(PLUGIN / "cluster.xyz")
    atoms.calc = EMT()
    found = ase.io.read(out)
    assert found.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(found.get_forces(), atoms.get_forces(), atol=1e-9)
    assert found.info["method"].startswith("EMT (ase-emt")


def test_the_example_labeler_is_as_short_as_promised():
    code = _blocks(DOCS / "extending" / "labeler.md", "python")[0]
    assert len(code.splitlines()) <= 75
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 60, len(lines)


def test_the_reference_is_what_the_code_says(tmp_path):
    """Mend it with: python docs/make_reference.py"""
    made = _python(ROOT, str(DOCS / "make_reference.py"), str(tmp_path))
    assert made.returncode == 0, made.stderr
    fresh = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    kept = {p.name: p.read_text(encoding="utf-8") for p in (DOCS / "reference").iterdir()}
    assert sorted(fresh) == sorted(kept)
    stale = [name for name in fresh if fresh[name] != kept[name]]
    assert not stale, "python docs/make_reference.py"


LABELERS = sorted(path.parent.name for path in (ROOT / "labelers").glob("*/labeler.py"))


@pytest.mark.parametrize("name", LABELERS)
def test_the_readme_names_every_labeler_among_the_rooms(name):
    readme = (ROOT / "README.md").read_text()
    (rooms,) = re.findall(r"^labelers/ +(.+?)(?:  .*)?$", readme, re.MULTILINE)
    assert name in rooms.split(", ")


def test_no_page_says_that_a_labeler_is_missing_which_is_there():
    for page in [*DOCS.glob("*.md"), ROOT / "README.md"]:
        for line in page.read_text().splitlines():
            if "not in this version" in line:
                absent = [name for name in LABELERS if name in line.lower()]
                assert not absent, (page.name, line)


def test_every_extra_that_a_user_may_want_is_on_the_page_on_installing():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (DOCS / "install.md").read_text()
    missing = [name for name in project["optional-dependencies"] if f"| `{name}` |" not in text]
    assert not missing


def test_the_worked_example_of_the_readme_is_what_the_smoke_campaign_says(finished):
    (example, *_) = _blocks(ROOT / "README.md", "console")[1:]
    said = summary_json(status(finished).summary)
    by_purpose = ", ".join(f"{name} {count}" for name, count in said["evaluations"].items())
    assert f"stable: {said['reason']}\n" in example
    assert f"{said['evaluations_total']}  ({by_purpose})" in example
    ratio, paper = said["acceleration_ratio"], said["acceleration_ratio_paper"]
    assert f"{ratio:.3g} (paper's form {paper:.3g})" in example
    for step in (lineage(finished, "1").title, *lineage(finished, "1").steps):
        shown = [line for line in example.splitlines() if line.startswith(f"  {step[:12]}")]
        assert all(f"  {step}".startswith(line.removesuffix("…")) for line in shown)


def test_the_pictures_are_drawn_from_what_was_measured(tmp_path):
    """Mend it with: python docs/make_figures.py"""
    made = _python(ROOT, str(DOCS / "make_figures.py"), str(tmp_path))
    assert made.returncode == 0, made.stderr
    assert list(tmp_path.glob("*.svg"))
    for file in tmp_path.glob("*.svg"):
        drawn = (DOCS / "img" / file.name).read_bytes()
        assert file.read_bytes() == drawn, "python docs/make_figures.py"
    fresh = (tmp_path / "quickstart.svg").read_bytes()
    report = json.loads((DOCS / "results" / "quickstart" / "report.json").read_text())
    n_audits = sum(len(item["audits"]) for item in report["generations"])
    legends = 4
    assert fresh.count(b"<circle") == len(report["summary"]["survival"]) + n_audits + legends


def test_the_figures_of_the_readme_are_those_of_the_report():
    report = json.loads((DOCS / "results" / "quickstart" / "report.json").read_text())
    summary, generations = report["summary"], report["generations"]
    audit = summary["audit"]
    first = [item["time_ps"] for item in generations[0]["lives"]]
    told = (
        f"{summary['evaluations_total']:,} GFN2-xTB labels, {summary['cost_total_s'] / 60:.0f} min",
        f"died within {min(first):.2f} to {max(first):.2f} ps",
        f"Generation {summary['generation']} lived and passed, with a force error of "
        f"{audit['relative_force_rmse']:.3f} of the RMS force (upper limit "
        f"{audit['relative_upper']:.3f}, bound {audit['relative_limit']:g}) "
        f"on {audit['n_frames']} frames",
        f"ratio of {summary['acceleration_ratio']:.1f}, since its MD ends at "
        f"{summary['longest_life_ps']:g} ps",
    )
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for text in told:
        assert text in readme
    assert (
        "In generations 3 and 4 all four replicas lived their 5 ps and no monitor fired" in readme
    )
    assert "audits of their frames did not pass: nitrogen, then lithium was wrong" in readme
    for number, element in ((3, "N"), (4, "Li")):  # lived, and yet wrong
        wrong = generations[number]
        assert [item["censored"] for item in wrong["lives"]] == [True] * 4
        (found,) = wrong["audits"]
        assert not found["passed"]
        assert all(f"RMSE of {element} may be" in reason for reason in found["reasons"])


def test_the_readme_tells_of_the_electrolyte_what_its_report_says():
    report = json.loads((DOCS / "results" / "lifsi-dol-xtb" / "report.json").read_text())
    summary, audit = report["summary"], report["summary"]["audit"]
    last = [life for life in summary["survival"] if life["generation"] == summary["generation"]]
    assert summary["state"] == "stable"
    assert [life["censored"] for life in last] == [True] * 4
    assert summary["acceleration_ratio_paper"] >= 57.0
    told = (
        f"in {summary['cost_total_s'] / 60:.0f} minutes on two cores",
        f"four replicas lived {summary['longest_life_ps']:g} ps from "
        f"{summary['reference_ps']:.2f} ps of reference MD",
        f"ratio of {summary['acceleration_ratio_paper']:.1f} in the paper's form, and "
        f"{audit['n_frames']} of their frames were {audit['relative_force_rmse']:.3f} of the RMS "
        f"force wrong (upper limit {audit['relative_upper']:.3f})",
    )
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for text in told:
        assert text in readme


def _pages() -> Iterator[Path]:
    yield ROOT / "README.md"
    yield from sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", list(_pages()), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_to_a_file_of_ours_leads_somewhere(page):
    text = COMMENT.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))
    targets = LINK.findall(text)
    lost = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not lost


@pytest.mark.slow
def test_the_site_builds_strictly_and_needs_nothing_from_elsewhere(tmp_path):
    built = _python(ROOT, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path))
    assert built.returncode == 0, built.stdout + built.stderr
    asset = re.compile(r"<(?:script|img|link)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//[^\s\"'>]+")
    pages = [p for p in tmp_path.rglob("*.html") if "results" not in p.parts]
    foreign = [(p.name, hit) for p in pages for hit in asset.findall(p.read_text(encoding="utf-8"))]
    assert pages
    assert not [item for item in foreign if 'rel="canonical"' not in item[1]]
