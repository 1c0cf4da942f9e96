"""The user's own input file: what of it is physics, what the campaign decides, what cannot be."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from labelers.cp2k.handlers import Tree
from labelers.cp2k.schema import parsed
from sis_engine.errors import ConfigurationError

_KEY = "labeler.method.file"
_INCLUDE = re.compile(r"^\s*@(?:INCLUDE|XCTYPE)\b", re.IGNORECASE | re.MULTILINE)
_SOLVER = frozenset(
    {
        "ot", "outer_scf", "mixing", "diagonalization", "max_scf", "max_scf_history", "max_diis",
        "eps_diis", "scf_guess", "cholesky", "nrow_block", "ncol_block", "rho_mixing",
        "level_shift", "rounding", "print", "ignore_convergence_failure",
    }
)  # fmt: skip
"""Keys of SCF that choose a path to the ground state, not the ground state."""
_STARTS = frozenset({"wfn_restart_file_name", "restart_file_name", "print"})
_DYNAMICS = frozenset({"extrapolation", "extrapolation_order"})
_STRUCTURE = frozenset({"cell", "coord", "velocity", "topology", "print"})
_REPLACED = frozenset({"md", "geo_opt", "print"})


@dataclass(frozen=True)
class Template:
    """A checked template. force_eval: without structure and printing, kinds as a list"""

    force_eval: Tree
    elements: frozenset[str]
    """With a &KIND of their own."""

    @property
    def method(self) -> str:
        return str(self.force_eval["dft"].get("qs", {}).get("method", "gpw"))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that changes a label's value, however the file is written."""
        text = json.dumps(physics(self.force_eval), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def read_template(file: Path) -> Template:
    """A fresh copy of the template in ``file``. Raises ConfigurationError with file and line."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the template {file} cannot be read: {error}", key=_KEY, allowed="a CP2K input file"
        ) from error
    found = _checked(file, text)
    return Template(copy.deepcopy(found.force_eval), found.elements)


@lru_cache(maxsize=8)
def _checked(file: Path, text: str) -> Template:
    tree = _parsed(file, text)
    _refuse_what_is_not_ours(file, tree)
    force_eval = tree["force_eval"]
    kinds = _kinds(force_eval.get("subsys", {}).get("kind", {}))
    force_eval["subsys"] = {
        key: value
        for key, value in force_eval.get("subsys", {}).items()
        if key not in _STRUCTURE | {"kind"}
    } | ({"kind": kinds} if kinds else {})
    force_eval.pop("print", None)
    dft = force_eval["dft"]
    for key in _STARTS:
        dft.pop(key, None)
    dft.setdefault("scf", {})["scf_guess"] = "RESTART"
    dft["scf"].pop("ignore_convergence_failure", None)
    return Template(force_eval, frozenset(kind["_"] for kind in kinds))


def _parsed(file: Path, text: str) -> Tree:
    from cp2k_input_tools.parser_errors import ParserError
    from cp2k_input_tools.tokenizer import TokenizerError

    if _INCLUDE.search(text):
        raise ConfigurationError(
            "a template stands alone, but this one has @INCLUDE or @XCTYPE",
            file=file,
            key=_KEY,
            hint="put the included text in its place",
        )
    try:
        return parsed(text)
    except (ParserError, TokenizerError, AssertionError, ValueError) as error:
        context = error.args[1] if len(error.args) > 1 else None
        line = getattr(context, "linenr", None)
        raise ConfigurationError(
            _told(error),
            file=file,
            line=None if line is None else int(line),
            key=_KEY,
            hint="`cp2k.psmp --check FILE` names what it does not know",
        ) from error


def _told(error: Exception) -> str:
    """What was wrong and, where the parser names its cause, why."""
    said = str(error.args[0] if error.args else error)
    cause = error.__cause__
    return said if cause is None else f"{said} ({cause.args[0] if cause.args else cause})"


def _refuse_what_is_not_ours(file: Path, tree: Tree) -> None:
    """Settings that would change the labels and that the campaign could not keep."""
    force_eval = tree.get("force_eval")
    if not isinstance(force_eval, dict) or "dft" not in force_eval:
        raise ConfigurationError(
            "a template has one &FORCE_EVAL with a &DFT section", file=file, key=_KEY
        )
    method = str(force_eval.get("method", "quickstep")).lower()
    if method not in {"quickstep", "qs"}:
        raise ConfigurationError(
            f"METHOD {method.upper()} is not Quickstep",
            file=file,
            key=_KEY,
            allowed="METHOD QUICKSTEP (QS)",
        )
    strange = sorted(set(tree.get("motion", {})) - _REPLACED)
    if strange:
        raise ConfigurationError(
            f"&MOTION has {', '.join(strange).upper()}, but the campaign decides what moves",
            file=file,
            key=_KEY,
            allowed="MD, GEO_OPT and PRINT, which are replaced",
            hint="frozen atoms: `systems: - frozen: […]` in the campaign file",
        )


def _kinds(given: Any) -> list[Tree]:
    """&KIND sections as a list of trees with their name under ``_``."""
    if isinstance(given, list):
        return [dict(one) for one in given]
    if "_" in given:
        return [dict(given)]
    return [{"_": name, **body} for name, body in given.items()]


def physics(force_eval: Tree) -> Tree:
    """What is left of FORCE_EVAL when the solver's path, printing and the structure are taken out.

    What is not known to be harmless stays: two labels too many are better than two that differ.
    """
    dft = {k: v for k, v in force_eval["dft"].items() if k not in _STARTS}
    dft.pop("charge", None), dft.pop("multiplicity", None)  # these come from the system
    dft["scf"] = {k: v for k, v in dft.get("scf", {}).items() if k not in _SOLVER}
    if "qs" in dft:
        dft["qs"] = {k: v for k, v in dft["qs"].items() if k not in _DYNAMICS}
    kept = {k: v for k, v in force_eval.items() if k not in {"print", "stress_tensor"}}
    subsys = {k: v for k, v in force_eval.get("subsys", {}).items() if k not in _STRUCTURE}
    if "kind" in subsys:
        subsys["kind"] = sorted(subsys["kind"], key=lambda kind: str(kind["_"]))
    plain: Tree = json.loads(json.dumps(kept | {"dft": dft, "subsys": subsys}))
    return plain
