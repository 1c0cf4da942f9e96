"""Sections of parts that plug in: what they need, and what they take as comments to copy."""

from __future__ import annotations

import io
from typing import Any

from pydantic_core import to_jsonable_python
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter

from sis_engine.interfaces import GivesExample
from sis_engine.plugins import Kind, load
from sis_engine.records import Frame

HEADER = "further settings of {name}, with their defaults (take the `# ` away to change one):"


def use_plugins(tree: Any, names: dict[Kind, str], frame: Frame) -> None:
    """Other plugins than the template's; ``frame``: what their examples have to work for."""
    for kind, name in names.items():
        tree.ca.items.pop(kind.value, None)  # what was said of the template's own
        tree[kind.value] = _section(kind, name, frame)
    keys = list(tree)
    for kind, name in names.items():
        after = keys[keys.index(kind.value) + 1]
        told = _further_settings(kind, name, set(tree[kind.value]))
        tree.yaml_set_comment_before_after_key(after, before=told, indent=2)


def _section(kind: Kind, name: str, frame: Frame) -> CommentedMap:
    plugin = load(kind, name)
    needed = [key for key, field in plugin.Config.model_fields.items() if field.is_required()]
    section = CommentedMap({"type": name, **{key: None for key in needed if key != "type"}})
    if isinstance(plugin, GivesExample):
        section.update(plugin.example(frame))
    return section


def _further_settings(kind: Kind, name: str, given: set[str]) -> str:
    """The settings that are not given, as YAML."""
    fields = load(kind, name).Config.model_fields
    defaults = {
        key: to_jsonable_python(field.get_default(call_default_factory=True))
        for key, field in fields.items()
        if key not in given
    }
    return "\n".join([HEADER.format(name=name), _as_yaml(defaults)]) if defaults else ""


def _as_yaml(values: dict[str, Any]) -> str:
    yaml = YAML(typ="rt", pure=True)
    yaml.Representer = _WithNull
    yaml.width = 90
    stream = io.StringIO()
    yaml.dump(_laid_out(values), stream)
    return stream.getvalue()


class _WithNull(RoundTripRepresenter):
    """Says ``null``, where ruamel leaves the place empty."""


_WithNull.add_representer(
    type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _laid_out(value: Any) -> Any:
    """A key a line, a list on the line of its key."""
    if isinstance(value, dict):
        laid_out = CommentedMap({key: _laid_out(item) for key, item in value.items()})
        return laid_out if value else _on_one_line(laid_out)
    return _on_one_line(CommentedSeq(value)) if isinstance(value, list) else value


def _on_one_line(value: Any) -> Any:
    value.fa.set_flow_style()
    return value
