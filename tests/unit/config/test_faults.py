"""What a person is told of a wrong configuration: the typo, not what is missing because of it."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sis_engine.config.file import read_campaign_text
from sis_engine.errors import ConfigurationError
from sis_engine.plugins import Kind, configure
from tests.integration.small_campaigns import smoke

LJ = {"type": "lammps", "pair_style": "lj/cut 8.0", "pair_coeff": ["* * 0.01 3.4"]}


def fault_of(changes: Mapping[str, Any]) -> ConfigurationError:
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(smoke(changes), stream)
    with pytest.raises(ConfigurationError) as refused:
        read_campaign_text(stream.getvalue(), Path("campaign.yaml"))
    return refused.value


def fault_of_plugin(kind: Kind, given: dict[str, Any]) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as refused:
        configure(kind, given, key=kind.value)
    return refused.value


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("training.steps_first", "training.steps_frist"),
        ("explore.condition.duration_ps", "explore.condition.duration_fs"),
        ("systems.0.structure", "systems.0.struct"),
        ("name", "nmae"),
        ("monitors", "monitor"),
    ],
)
def test_a_misspelt_key_is_named_not_the_one_that_is_missing_for_it(right: str, wrong: str) -> None:
    found = fault_of({right: None, wrong: "x"})
    assert (found.key, found.message) == (wrong, "unknown key")
    assert found.hint == f"did you mean {right.rpartition('.')[2]!r}?"
    assert found.line is not None


def test_a_typo_comes_before_faults_above_it() -> None:
    assert fault_of({"explore.condition.timestep_fs": -1, "trainin": {}}).key == "trainin"


def test_a_key_in_the_wrong_place_is_told_where_it_belongs() -> None:
    found = fault_of({"timestep_fs": 0.5})
    assert found.hint is not None
    assert found.hint.startswith("it belongs to explore.condition or initial.segment")


def test_a_misspelt_type_is_named() -> None:
    found = fault_of_plugin(Kind.LABELER, {"tpye": "fake"})
    assert (found.key, found.hint) == ("labeler.tpye", "did you mean 'type'?")


@pytest.mark.parametrize(
    ("potential", "key", "hint"),
    [
        ({**LJ, "pair_stlye": 1}, "labeler.potential.pair_stlye", "did you mean 'pair_style'?"),
        ({**LJ, "type": "lamps"}, "labeler.potential.type", "did you mean 'lammps'?"),
        ({"tpe": "lammps"}, "labeler.potential.tpe", "did you mean 'type'?"),
        ({"pair_style": "zbl"}, "labeler.potential.type", None),
        ({"type": "lammps", "pair_style": 3}, "labeler.potential.pair_style", None),
    ],
)
def test_one_of_several_forms_is_spoken_of_by_the_keys_of_the_file(
    potential: dict[str, Any], key: str, hint: str | None
) -> None:
    found = fault_of_plugin(Kind.LABELER, {"type": "teacher", "potential": potential})
    assert (found.key, found.hint) == (key, hint)


def test_every_form_that_a_value_may_have_is_told() -> None:
    found = fault_of_plugin(Kind.TRAINER, {"type": "deepmd", "sel": -1})
    assert found.key == "trainer.sel"
    for part in ("'auto'", "greater than 0", "a list", "(seen: -1)"):
        assert part in found.message


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"explore.condition.timestep_fs": "0.5 fs"}, ("number", "'0.5 fs'", "unit")),
        ({"explore.condition": []}, ("mapping", "[]")),
        ({"labeler": "xtb"}, ("mapping", "'xtb'", "write {type: xtb}")),
        ({"monitors.0": "heat"}, ("mapping", "'heat'", "write {type: heat}")),
        ({"systems": {"a": 1}}, ("list", "{'a': 1}")),
        ({"execution": {"type": "slrum"}}, ("'slrum'", "'local'")),
        ({"budget.evaluations_by_purpose": {"audits": 5}}, ("'audits'", "did you mean 'audit'?")),
        ({"budget.evaluations_by_purpose": {"audit": -5}}, ("by_purpose.audit:", "-5")),
    ],
)
def test_a_wrong_value_is_told_in_the_words_of_the_file(
    changes: dict[str, Any], parts: tuple[str, ...]
) -> None:
    told = str(fault_of(changes))
    for part in parts:
        assert part in told
    assert "dictionary" not in told
    assert "Input" not in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"systems": []}, "has to have at least 1"),
        ({"systems.0.name": "../x"}, "begin with a letter or digit"),
    ],
)
def test_a_fault_is_told_in_our_words_not_in_those_of_pydantic(
    changes: Mapping[str, Any], told: str
) -> None:
    message = fault_of(changes).message
    assert told in message
    assert "Tuple" not in message
    assert "String" not in message


@pytest.mark.parametrize(
    ("text", "told"), [("", "nothing"), ("- a\n", "a list"), ("word\n", "only 'word'")]
)
def test_a_file_without_keys_is_said_to_hold_what_it_holds(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_campaign_text(text, Path("campaign.yaml"))
    assert refused.value.message == f"expected keys and values, found {told}"
