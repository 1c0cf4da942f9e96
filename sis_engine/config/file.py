"""Read ``campaign.yaml``: safe YAML, faults with file, key, line, value and what is allowed."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from sis_engine.config.campaign import FORMAT, CampaignConfig
from sis_engine.config.faults import explain
from sis_engine.errors import ConfigurationError


def parse_yaml(text: str, file: Path) -> CommentedMap:
    """The mapping in ``text``. The round-trip loader builds no objects and keeps line numbers."""
    try:
        loaded = YAML(typ="rt", pure=True).load(text)
    except DuplicateKeyError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        problem = str(error.problem).split(". ")[0]
        raise ConfigurationError(problem, file=file, line=line, hint="keep one of them") from error
    except (YAMLError, ValueError) as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        line = None if mark is None else mark.line + 1
        problem = error.problem if isinstance(error, MarkedYAMLError) else str(error)
        raise ConfigurationError(f"not valid YAML: {problem}", file=file, line=line) from error
    if not isinstance(loaded, CommentedMap):
        raise ConfigurationError(
            f"expected keys and values, found {_in_words(loaded)}",
            file=file,
            allowed="a mapping: `name: …`, `systems: …`, …",
            hint="`sis init` writes a commented template",
        )
    return loaded


def _in_words(loaded: Any) -> str:
    """What a file that is no mapping holds."""
    if loaded is None:
        return "nothing"
    return "a list" if isinstance(loaded, list) else f"only {loaded!r}"


def plain(value: Any) -> Any:
    """Ruamel's containers as plain dicts, lists and scalars."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def line_of(tree: Any, location: Sequence[str | int]) -> int | None:
    """1-based line of the key at ``location``, as deep as the file goes."""
    line: int | None = None
    node = tree
    for part in location:
        position = _position(node, part)
        if position is None:
            break
        line = position + 1
        node = node[part]
    return line


def _position(node: Any, part: str | int) -> int | None:
    if isinstance(node, CommentedMap) and part in node:
        return int(node.lc.key(part)[0])
    if isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
        return int(node.lc.item(part)[0])
    return None


@functools.lru_cache(maxsize=64)
def read_campaign_text(text: str, file: Path) -> CampaignConfig:
    """A checked campaign from YAML text; ``file`` is only for messages.

    The last ones are kept: a start reads the same text several times, a page at every look.
    """
    tree = parse_yaml(text, file)
    given = plain(tree)
    if "arms" in given:
        raise ConfigurationError(
            "this is a file for `sis compare`, not a campaign",
            file=file,
            key="arms",
            line=line_of(tree, ["arms"]),
            hint=f"sis compare {file} --dry-run",
        )
    version = given.get("format", FORMAT)
    if isinstance(version, int) and version > FORMAT:
        raise ConfigurationError(
            f"written for format {version}; this engine reads up to {FORMAT}",
            file=file,
            key="format",
            line=line_of(tree, ["format"]),
            hint="upgrade sis-engine",
        )
    try:
        return CampaignConfig.model_validate(given)
    except ValidationError as error:
        raise with_line(explain(error, CampaignConfig, file=file), tree) from error


def with_line(error: ConfigurationError, tree: Any) -> ConfigurationError:
    """The same error, with the line of its key where the file has one."""
    location = [int(part) if part.isdecimal() else part for part in (error.key or "").split(".")]
    if error.line is None:
        error.line = line_of(tree, location)
    return error


def read_campaign(file: Path) -> CampaignConfig:
    """A checked campaign from a file."""
    return read_campaign_text(read_text(file), file)


def read_text(file: Path) -> str:
    """The text of a configuration file, or a clear error."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        near = difflib.get_close_matches(file.name, _neighbours(file), n=1)
        hint = f"did you mean {file.parent / near[0]}?" if near else "`sis init` writes one"
        raise ConfigurationError("no such file", file=file, hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read as text: {error}", file=file) from error


def _neighbours(file: Path) -> list[str]:
    return [item.name for item in file.parent.iterdir()] if file.parent.is_dir() else []
