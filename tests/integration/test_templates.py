"""What ``sis init`` writes is a campaign, whatever it is asked for."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from sis_engine.commands.validation import runs_in_lammps, validate
from sis_engine.errors import ConfigurationError
from sis_engine.plugins import Kind, available, load
from sis_engine.setup.assembly import assemble
from sis_engine.templates import write_template
from tests.integration.command_line import sis
from tests.integration.programs import programs

ROOT = Path(__file__).parents[2]
LABELERS, TRAINERS = sorted(available(Kind.LABELER)), sorted(available(Kind.TRAINER))
EXPLORERS = sorted(available(Kind.EXPLORER))
TOGETHER = [
    (labeler, trainer, explorer)
    for labeler, trainer, explorer in itertools.product(LABELERS, TRAINERS, EXPLORERS)
    if explorer != "lammps" or runs_in_lammps(load(Kind.TRAINER, trainer))
]
SETTING = re.compile(r"^  # ((?: *[a-z]\w*:( .*)?| +\S.*))$", re.MULTILINE)


def with_every_setting(text: str) -> str:
    """The commented settings as keys."""
    return SETTING.sub(lambda found: f"  {found[1]}", text)


@pytest.mark.external
@pytest.mark.parametrize("parts", TOGETHER, ids="-".join)
def test_whatever_is_asked_for_is_valid(parts: tuple[str, str, str], tmp_path: Path) -> None:
    labeler, trainer, explorer = parts
    file = write_template(
        tmp_path, structure=None, labeler=labeler, trainer=trainer, explorer=explorer
    )
    text = file.read_text()
    assert "PydanticUndefined" not in text
    assert "='" not in text
    with programs():
        validate(assemble(file))


@pytest.mark.external
@pytest.mark.parametrize("labeler", LABELERS)
def test_settings_in_comments_are_yaml_to_copy(labeler: str, tmp_path: Path) -> None:
    file = write_template(tmp_path, structure=None, labeler=labeler, trainer="fake")
    text = with_every_setting(file.read_text())
    kinds = [(Kind.TRAINER, "fake"), (Kind.EXPLORER, "ase")]
    if labeler != "xtb":  # the template's own
        kinds.append((Kind.LABELER, labeler))
    config = assemble(file, text).config
    for kind, name in kinds:
        assert set(getattr(config, kind.value)) == set(load(kind, name).Config.model_fields)
    with programs():
        validate(assemble(file, text))


@pytest.mark.parametrize(
    ("structure", "wanted"),
    [
        ("ethane-liquid.extxyz", "CH.airebo"),
        ("li-bulk-8.extxyz", "ffield.eim"),
        ("lifsi-dol-cluster.xyz", "tblite.ase.TBLite"),
    ],
)
def test_a_teacher_is_one_for_the_elements(structure: str, wanted: str, tmp_path: Path) -> None:
    path = ROOT / "configs" / "structures" / structure
    file = write_template(tmp_path, structure=path, labeler="teacher", trainer="deepmd")
    assert wanted in file.read_text()
    validate(assemble(file))


def test_a_pseudopotential_that_debian_lacks_is_named(tmp_path: Path) -> None:
    path = tmp_path / "salt.extxyz"
    path.write_text('2\nLattice="5 0 0 0 5 0 0 0 5" pbc="T T T"\nLi 0 0 0\nF 0 0 2\n')
    file = write_template(tmp_path / "x", structure=path, labeler="espresso", trainer="fake")
    with programs(), pytest.raises(ConfigurationError, match=r"F\.UPF is missing") as refused:
        validate(assemble(file))
    assert refused.value.key == "labeler.pseudopotentials.F"
    assert refused.value.line is not None


def test_models_that_do_not_run_in_lammps_are_not_explored_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--trainer", "fake", "--explorer", "lammps")
    said = sis(capsys, "init", tmp_path / "x", *asked)
    assert said.code == 2
    assert "--explorer: models of the trainer fake do not run in LAMMPS" in said.err
    assert not (tmp_path / "x").exists()
