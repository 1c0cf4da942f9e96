"""Writes docs/reference/*.md from the code: every key of a campaign file, every command.

    python docs/make_reference.py [FOLDER]

The same code gives the same bytes. A test compares the pages with what this writes.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sis_engine import records
from sis_engine.comparison.config import ComparisonConfig
from sis_engine.config.campaign import CampaignConfig
from sis_engine.plugins import Kind, available, load
from sis_engine.service.settings import ServiceConfig

REFERENCE = Path(__file__).parent / "reference"
MADE = "<!-- made by docs/make_reference.py: change the code, not this page -->\n"
ENTRY = re.compile(r"^([a-z_*][\w*]*(?:, [a-z_*][\w*]*)*): (.*)$")
RECORD = re.compile(r" *See :class:`sis_engine\.records\.(\w+)`\.")
ROLE = re.compile(r":\w+:`([^`]+)`")
BOUNDS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
TITLES = {
    Kind.LABELER: "Labelers",
    Kind.TRAINER: "Trainers",
    Kind.EXPLORER: "Explorers",
    Kind.MONITOR: "Monitors",
    Kind.SAMPLER: "Samplers",
}


# --------------------------------------------------------------------------- docstrings


def explained(model: type[BaseModel]) -> tuple[list[str], dict[str, str]]:
    """A docstring's paragraphs, and its ``name: meaning`` entries, inherited ones included."""
    prose: list[str] = []
    entries: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if not (isinstance(one, type) and issubclass(one, BaseModel)) or one is BaseModel:
            continue
        text = inspect.cleandoc(one.__doc__ or "")
        for name in RECORD.findall(text):
            entries |= _parsed(inspect.cleandoc(getattr(records, name).__doc__))[1]
        own, found = _parsed(ROLE.sub(r"`\1`", RECORD.sub("", text)))
        entries |= found
        if one is model:
            prose = own
    return prose, entries


def _parsed(text: str) -> tuple[list[str], dict[str, str]]:
    prose: list[str] = []
    entries: dict[str, str] = {}
    names: list[str] = []
    for line in text.splitlines():
        found = ENTRY.match(line)
        if found:
            # "a: one;  b: two" on one line is two entries.
            for part in re.split(r";\s{2,}", line):
                one = ENTRY.match(part)
                if one:
                    names = [name.strip() for name in one[1].split(",")]
                    entries |= dict.fromkeys(names, one[2])
        elif line.startswith("    ") and names:
            entries |= {name: f"{entries[name]} {line.strip()}" for name in names}
        else:
            names = []
            prose.append(line)
    return "\n".join(prose).strip().split("\n\n"), entries


def meaning(entries: dict[str, str], key: str) -> str:
    """The entry of a key; ``*_prefactor`` and ``claim_*`` stand for several."""
    if key in entries:
        return entries[key]
    for pattern, text in entries.items():
        if "*" in pattern and re.fullmatch(pattern.replace("*", ".+"), key):
            return text
    return ""


# --------------------------------------------------------------------------- types and values


def shown_type(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """An annotation in words: 'number > 0', 'list of texts', 'one of: nvt, npt'."""
    text = _bare_type(annotation)
    limits = [
        f"{sign} {value:g}"
        for item in _flat(metadata)
        for name, sign in BOUNDS
        if isinstance(value := getattr(item, name, None), int | float)
    ]
    return " ".join([text, ", ".join(limits)]).strip()


def _flat(metadata: tuple[Any, ...]) -> Iterator[Any]:
    for item in metadata:
        if isinstance(item, FieldInfo):
            yield from item.metadata
        else:
            yield item


def _bare_type(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return shown_type(inner[0], inner[1:])
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in {typing.Union, types.UnionType}:
        told = [shown_type(item) for item in inner if item is not type(None)]
        none = ["`null`"] if type(None) in inner else []
        return " or ".join(dict.fromkeys([*told, *none]))
    return _container(origin, inner) or _plain(annotation)


def _container(origin: Any, inner: tuple[Any, ...]) -> str | None:
    if origin is list or (origin is tuple and inner[-1] is Ellipsis):
        return f"list of {shown_type(inner[0])}"
    if origin is tuple:
        return f"[{', '.join(shown_type(item) for item in inner)}]"
    return "mapping" if origin is dict else None


def _plain(annotation: Any) -> str:
    names = {bool: "`true` or `false`", int: "whole number", float: "number", str: "text"}
    if annotation in names:
        return names[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return "path" if annotation is Path else "any"


def shown_default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return ""
    if isinstance(value, BaseModel):
        own = value.model_dump(exclude_defaults=True, mode="json")
        kind = getattr(value, "type", None)
        named = "its defaults" if kind is None else f"`{kind}`, its defaults"
        return f"`{own}`" if own else named
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    return str(value)


# --------------------------------------------------------------------------- pages


def model_section(model: type[BaseModel], title: str, level: int) -> Iterator[str]:
    """A heading, the docstring, and the table of keys."""
    prose, entries = explained(model)
    yield f"{'#' * level} {title}\n"
    yield from (f"{paragraph}\n" for paragraph in prose if paragraph)
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in model.model_fields.items():
        kind = shown_type(field.annotation, tuple(field.metadata))
        cells = (f"`{key}`", kind, shown_default(field), meaning(entries, key))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def nested(model: type[BaseModel], path: str = "") -> dict[type[BaseModel], str]:
    """Models among the fields of a model, and of those, each with the first key it is at."""
    found: dict[type[BaseModel], str] = {}
    for key, field in model.model_fields.items():
        for one in _models_in(field.annotation):
            own = f"{path}{key}"
            found.setdefault(one, own)
            for inner, at in nested(one, f"{own}.").items():
                found.setdefault(inner, at)
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for item in typing.get_args(annotation):
        yield from _models_in(item)


def sections(model: type[BaseModel], title: str, level: int, below: int) -> list[str]:
    """A section for a model and for each nested one, called by its key (and its ``type``)."""
    titles = {}
    for one, path in nested(model).items():
        kind = one.model_fields.get("type")
        named = "" if kind is None else f": {typing.get_args(kind.annotation)[0]}"
        titles[one] = f"{path}{named}"
    lines = list(model_section(model, title, level))
    for one, own in titles.items():
        lines += model_section(one, own, below)
    return [named_by_key(line, titles) for line in lines]


def named_by_key(line: str, titles: dict[type[BaseModel], str]) -> str:
    """Links to classes become links to the sections of their keys."""
    for one, title in titles.items():
        anchor = re.sub(r"[^\w\s-]", "", title).strip().lower().replace(" ", "-")
        line = line.replace(_plain(one), f"[{title}](#{anchor})")
    return line


def campaign_page() -> str:
    lines = [
        "# Campaign file\n",
        MADE,
        "Every key of `campaign.yaml`. Unknown keys are errors; every number carries its unit in "
        "its name. `sis schema` prints the same as JSON Schema, for editors. The parts that plug "
        "in have pages of their own: [labelers](labelers.md), [trainers](trainers.md), "
        "[explorers](explorers.md), [monitors](monitors.md), [samplers](samplers.md).\n",
    ]
    return "\n".join([*lines, *sections(CampaignConfig, "The whole", 2, 2)])


def comparison_page() -> str:
    lines = [
        "# Comparison file\n",
        MADE,
        "Every key of a comparison file, for `sis compare`. How it works: "
        "[comparing samplers](../compare.md). `changes`, `cases` and `arms` hold keys of the "
        "[campaign file](campaign.md).\n",
    ]
    return "\n".join([*lines, *sections(ComparisonConfig, "The whole", 2, 2)])


def plugin_page(kind: Kind) -> str:
    lines = [
        f"# {TITLES[kind]}\n",
        MADE,
        f"`{kind.value}{'s' if kind is Kind.MONITOR else ''}` in a campaign file; `type` names the "
        "plugin. A plugin of your own is found in the same way: "
        "[labelers](../extending/labeler.md), [monitors](../extending/monitor.md).\n",
    ]
    for name, point in sorted(available(kind).items()):
        if point.dist is None or point.dist.name != "sis-engine":
            continue
        config = load(kind, name).Config
        lines += sections(config, name, 2, 3)
    return "\n".join(lines)


def service_page() -> str:
    lines = [
        "# Service file\n",
        MADE,
        "Every key of `ROOT/service.yaml`, for `sis serve`; the file may be absent. How it works: "
        "[service](../service.md).\n",
    ]
    return "\n".join([*lines, *sections(ServiceConfig, "The whole", 2, 2)])


def commands_page() -> str:
    """Each command with its arguments and options, as ``sis COMMAND --help`` has them."""
    import typer

    from sis_engine.cli.main import app

    group: Any = typer.main.get_command(app)
    lines = ["# Commands\n", MADE, "How to use them: [command line](../command-line.md).\n"]
    for name, command in group.commands.items():
        lines += [f"## sis {name}\n", f"{command.help}\n"]
        parameters = [item for item in command.params if item.name != "help"]
        if parameters:
            lines += ["| | | default |", "|---|---|---|"]
        for parameter in parameters:
            given = parameter.param_type_name == "argument"
            called = parameter.name.upper() if given else parameter.opts[0]
            default = parameter.default
            plain = default is not None and isinstance(default, str | Path | int | enum.Enum)
            shown = "**required**" if parameter.required else f"`{_cli(default)}`" if plain else ""
            told = (parameter.help or "").replace("<", "&lt;")
            lines.append(f"| `{called}` | {told} | {shown} |")
        lines.append("")
    return "\n".join(lines)


def _cli(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else _yaml(value)


def messages_page() -> str:
    """The tree of errors, from the docstring of ``sis_engine.errors``."""
    from sis_engine import errors

    tree = ast.get_docstring(ast.parse(inspect.getsource(errors))) or ""
    return "\n".join(["# Errors\n", MADE, f"```text\n{tree}\n```\n"])


def pages() -> dict[str, str]:
    made = {f"{TITLES[kind].lower()}.md": plugin_page(kind) for kind in Kind}
    return {
        "campaign.md": campaign_page(),
        "commands.md": commands_page(),
        "comparison.md": comparison_page(),
        "service.md": service_page(),
        "errors.md": messages_page(),
        **made,
    }


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main()
