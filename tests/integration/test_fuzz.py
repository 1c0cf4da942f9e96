"""Whatever a campaign file says: it is read, or refused with a ConfigurationError."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sis_engine.commands.validation import validate
from sis_engine.errors import ConfigurationError
from sis_engine.setup.assembly import assemble
from tests.integration.small_campaigns import SMOKE, smoke, write_campaign

TEXT = SMOKE.read_text()

QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fuzz")
    write_campaign(place)
    return place


def read(file: Path, text: str) -> None:
    """Read, built and validated, or refused with a message that names the file."""
    with contextlib.suppress(ConfigurationError):
        try:
            validate(assemble(file, text))
        except ConfigurationError as error:
            if str(file.parent) not in str(error):
                pytest.fail(f"the message does not say where: {error}")
            raise


def paths(node: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a tree."""
    found = [before] if before else []
    items = node.items() if isinstance(node, dict) else enumerate(node)
    if isinstance(node, (dict, list)):
        for key, value in items:
            found += paths(value, (*before, key)) if isinstance(value, (dict, list)) else []
            found.append((*before, key))
    return found


PLACES = sorted(set(paths(smoke())), key=str)

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.just([[]]),
    st.just({"type": "fake"}),
    st.just({"a": {"b": [1]}}),
    st.dates(),
    st.binary(max_size=4),
)


def node_at(tree: Any, place: tuple[Any, ...]) -> Any:
    for part in place:
        tree = tree[part]
    return tree


def dumped(tree: Any) -> str:
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(tree, stream)
    return stream.getvalue()


@QUICK
@given(place=st.sampled_from(PLACES), value=VALUES)
def test_any_value_at_any_key(folder: Path, place: tuple[Any, ...], value: Any) -> None:
    tree = smoke()
    node_at(tree, place[:-1])[place[-1]] = value
    read(folder / "campaign.yaml", dumped(tree))


@QUICK
@given(place=st.sampled_from(PLACES))
def test_any_key_left_out(folder: Path, place: tuple[Any, ...]) -> None:
    tree = smoke()
    del node_at(tree, place[:-1])[place[-1]]
    read(folder / "campaign.yaml", dumped(tree))


@QUICK
@example(place=("explorer", "type"), name="²", value=None)
@given(place=st.sampled_from(PLACES), name=st.text(min_size=1, max_size=12), value=VALUES)
def test_any_unknown_key(folder: Path, place: tuple[Any, ...], name: str, value: Any) -> None:
    tree = smoke()
    node = node_at(tree, place[:-1])
    if isinstance(node, dict):
        node[name] = value
    read(folder / "campaign.yaml", dumped(tree))


@QUICK
@given(line=st.integers(0, len(TEXT.splitlines()) - 1), to=st.integers(0, 40))
def test_any_line_doubled(folder: Path, line: int, to: int) -> None:
    lines = TEXT.splitlines()
    lines.insert(to, lines[line])
    read(folder / "campaign.yaml", "\n".join(lines))


@QUICK
@given(at=st.integers(0, len(TEXT)), piece=st.text(max_size=3), cut=st.integers(0, 5))
@example(at=0, piece="\x00", cut=0)
@example(at=0, piece="%", cut=0)
@example(at=0, piece="&a *a", cut=0)
def test_any_text_in_place_of_any_other(folder: Path, at: int, piece: str, cut: int) -> None:
    read(folder / "campaign.yaml", TEXT[:at] + piece + TEXT[at + cut :])


@QUICK
@given(content=st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        assemble(file)
    assert str(file) in str(refused.value)


@QUICK
@given(text=st.text(max_size=60))
def test_any_text(tmp_path: Path, text: str) -> None:
    read(tmp_path / "campaign.yaml", text)
