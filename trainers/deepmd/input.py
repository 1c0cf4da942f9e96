"""DeePMD-kit's ``input.json`` from our configuration, schedule and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sis_engine.errors import ConfigurationError
from sis_engine.records import Frame, TrainingSchedule
from trainers.deepmd.config import Adam, DeepmdConfig, Dpa1, Kalman, SeE2A
from trainers.deepmd.data import System, counts_in, neighbour_counts

CURVE_POINTS, CHEAP_EVERY = 100, 12
"""Points of the learning curve, so that progress moves and the file stays small. One costs half a
Kalman step: they lie this many steps apart at least."""

SEL_STEP = 4
"""``sel`` is rounded up to a multiple, as DeePMD's own ``auto`` does."""


@dataclass(frozen=True)
class DataFolders:
    """deepmd/npy folders of the two splits; ``masked``: they carry ``atom_pref``."""

    training: tuple[Path, ...]
    validation: tuple[Path, ...]
    probabilities: tuple[float, ...]
    masked: bool


def choose_sel(
    config: DeepmdConfig,
    systems: Sequence[System],
    elements: Sequence[str],
    before: tuple[int, ...] | None = None,
) -> tuple[int, ...]:
    """Neighbour limits: those configured, checked against the data, or counted with a margin.

    before: of an earlier model: kept where they hold the data and nothing else is configured
    Raises ConfigurationError when the data have more neighbours than the configured limit: the
    model would silently drop the farthest of them.
    """
    counted = _counted(config, neighbour_counts(systems, elements, config.cutoff_angstrom))
    if config.sel == "auto":
        wanted = _with_margin(config, systems, counted, len(elements))
        if before is None or len(before) != len(wanted):
            return wanted
        if all(have >= need for have, need in zip(before, counted, strict=True)):
            return before
        return tuple(max(pair) for pair in zip(before, wanted, strict=True))
    return _sufficient(config.sel, counted, elements, f"the data within {config.cutoff_angstrom} Å")


def check_sel(config: DeepmdConfig, frames: Sequence[Frame], elements: Sequence[str]) -> None:
    """ConfigurationError when start structures have more neighbours than the configured limit."""
    if config.sel != "auto":
        counted = _counted(config, counts_in(frames, elements, config.cutoff_angstrom))
        where = f"the start structures within {config.cutoff_angstrom} Å"
        _sufficient(config.sel, counted, elements, where)


def _counted(config: DeepmdConfig, counts: tuple[tuple[int, ...], int]) -> tuple[int, ...]:
    """Of each element, or of all together, as the descriptor wants them."""
    per_element, together = counts
    return (together,) if isinstance(config.descriptor, Dpa1) else per_element


def _sufficient(
    sel: int | tuple[int, ...], counted: tuple[int, ...], elements: Sequence[str], where: str
) -> tuple[int, ...]:
    """The configured limits; ConfigurationError where more were counted."""
    given = (sel,) if isinstance(sel, int) else sel
    if len(given) != len(counted):
        raise ConfigurationError(
            f"sel has {len(given)} numbers for the {len(counted)} elements {', '.join(elements)}",
            key="trainer.sel",
            allowed="auto, or one number per element",
        )
    if any(have < need for have, need in zip(given, counted, strict=True)):
        raise ConfigurationError(
            f"sel {list(given)} is below the neighbours in {where}, {list(counted)}",
            key="trainer.sel",
            allowed=f"at least {list(counted)}, with a margin for denser moments in MD",
            hint="sel: auto",
        )
    return given


def _with_margin(
    config: DeepmdConfig, systems: Sequence[System], counted: tuple[int, ...], n_elements: int
) -> tuple[int, ...]:
    """Counted numbers times the margin, rounded up; a cluster cannot have more than its atoms."""
    wanted = [-(-int(value * config.sel_margin + 1) // SEL_STEP) * SEL_STEP for value in counted]
    if any(system.boxes is not None for system in systems):
        return tuple(wanted)
    if len(counted) == 1:
        return (max(len(system.types) - 1 for system in systems),)
    most = [max(system.types.count(kind) for system in systems) for kind in range(n_elements)]
    return tuple(max(1, min(want, cap)) for want, cap in zip(wanted, most, strict=True))


def descriptor_input(config: DeepmdConfig, sel: tuple[int, ...], seed: int) -> dict[str, Any]:
    """DeePMD's ``model/descriptor``."""
    shape = config.descriptor
    given: dict[str, Any] = {
        **shape.model_dump(),
        "neuron": list(shape.neuron),
        "rcut": config.cutoff_angstrom,
        "rcut_smth": config.cutoff_smooth_angstrom,
        "sel": sel[0] if isinstance(shape, Dpa1) else list(sel),
        "precision": config.precision,
        "activation_function": config.activation_function,
        "seed": seed,
    }
    if isinstance(shape, SeE2A):
        given["resnet_dt"] = False
    return given


def model_input(
    config: DeepmdConfig, elements: Sequence[str], sel: tuple[int, ...], seed: int
) -> dict[str, Any]:
    """DeePMD's ``model``, with the pair table where ZBL is asked for."""
    model: dict[str, Any] = {
        "type_map": list(elements),
        "descriptor": descriptor_input(config, sel, seed),
        "fitting_net": {
            "neuron": list(config.fitting.neuron),
            "resnet_dt": config.fitting.resnet_dt,
            "activation_function": config.activation_function,
            "precision": config.precision,
            "seed": seed,
        },
    }
    if config.zbl is not None:
        model["use_srtab"] = "zbl.table"
        model["smin_alpha"] = config.zbl.softmin_angstrom
        model["sw_rmin"] = config.zbl.switch_start_angstrom
        model["sw_rmax"] = config.zbl.switch_end_angstrom
    return model


ARCHITECTURE = {
    "descriptor": (
        "type",
        "rcut",
        "rcut_smth",
        "neuron",
        "axis_neuron",
        "tebd_dim",
        "tebd_input_mode",
        "type_one_side",
        "attn_layer",
        "set_davg_zero",
        "activation_function",
        "precision",
    ),
    "fitting_net": ("neuron", "resnet_dt", "activation_function", "precision"),
}
"""What makes weights of one net fit into another; ``sel`` and seeds do not."""

ALIASES = {"se_atten": "dpa1", "se_a": "se_e2_a", "se_at": "se_e3", "se_a_3be": "se_e3"}
"""DeePMD's other names of our descriptors."""


def differences(config: DeepmdConfig, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a model (its DeePMD ``model`` section) is not of the configured architecture."""
    wanted = model_input(config, (), (0,), 0)
    found = []
    for part, keys in ARCHITECTURE.items():
        have = dict(parameters.get(part, {}))
        have["type"] = ALIASES.get(have.get("type", ""), have.get("type"))
        found += [
            f"{part}.{key} is {have[key]!r}, configured {wanted[part][key]!r}"
            for key in keys
            if key in wanted[part] and key in have and have[key] != wanted[part][key]
        ]
    return tuple(found)


def loss_input(schedule: TrainingSchedule, *, masked: bool) -> dict[str, Any]:
    """DeePMD's ``loss``. With masked atoms the force term is the one with per-atom prefactors."""
    force, other = ("pf", "f") if masked else ("f", "pf")
    loss: dict[str, Any] = {"type": "ener"}
    for name, (start, limit) in (
        ("e", schedule.energy_prefactor),
        (force, schedule.force_prefactor),
        (other, (0.0, 0.0)),
        ("v", schedule.virial_prefactor),
    ):
        loss[f"start_pref_{name}"] = start
        loss[f"limit_pref_{name}"] = limit
    return loss


def _display_every(steps: int) -> int:
    return max(steps // CURVE_POINTS, min(CHEAP_EVERY, max(1, steps // 5)))


def training_input(schedule: TrainingSchedule, folders: DataFolders, seed: int) -> dict[str, Any]:
    """DeePMD's ``training``: one checkpoint at the end, a curve averaged between its points."""
    training: dict[str, Any] = {
        "training_data": {
            "systems": [str(path) for path in folders.training],
            "batch_size": schedule.batch_size,
            "sys_probs": list(folders.probabilities),
        },
        "numb_steps": schedule.steps,
        "seed": seed,
        "disp_freq": _display_every(schedule.steps),
        "disp_avg": True,
        "save_freq": schedule.steps,
    }
    if folders.validation:
        training["validation_data"] = {
            "systems": [str(path) for path in folders.validation],
            "batch_size": schedule.batch_size,
            "numb_btch": 1,
        }
    return training


@dataclass(frozen=True)
class Phase:
    """One run of DeePMD's training: its input, and what it is to write."""

    name: str
    steps: int
    input: dict[str, Any]

    @property
    def input_file(self) -> str:
        return f"{self.name}.json"

    @property
    def curve_file(self) -> str:
        return f"{self.name}.lcurve.out"

    @property
    def checkpoint(self) -> str:
        return f"{self.name}.ckpt.pt"


def phases(
    config: DeepmdConfig,
    elements: Sequence[str],
    sel: tuple[int, ...],
    schedule: TrainingSchedule,
    folders: DataFolders,
) -> tuple[Phase, ...]:
    """Adam alone; or the Kalman filter, and then Adam where it is asked for."""
    chosen = config.optimizer
    if isinstance(chosen, Adam):
        return (_phase("adam", config, elements, sel, schedule, folders),)
    kalman = replace(schedule, steps=max(1, round(schedule.steps * chosen.steps_ratio)))
    first = _phase("kalman", config, elements, sel, kalman, folders, _kalman_input(chosen))
    steps = chosen.polish_steps_for(virials=any(value > 0.0 for value in schedule.virial_prefactor))
    if steps == 0:
        return (first,)
    polish = replace(
        schedule,
        steps=steps,
        start_lr=chosen.polish_start_lr,
        stop_lr=chosen.polish_stop_lr,
    )
    return first, _phase("polish", config, elements, sel, polish, folders)


def _kalman_input(chosen: Kalman) -> dict[str, Any]:
    return {
        "type": "LKF",
        "kf_blocksize": chosen.block_size,
        "kf_start_pref_e": chosen.energy_prefactor,
        "kf_limit_pref_e": chosen.energy_prefactor,
        "kf_start_pref_f": chosen.force_prefactor,
        "kf_limit_pref_f": chosen.force_prefactor,
    }


def _phase(
    name: str,
    config: DeepmdConfig,
    elements: Sequence[str],
    sel: tuple[int, ...],
    schedule: TrainingSchedule,
    folders: DataFolders,
    optimizer: dict[str, Any] | None = None,
) -> Phase:
    """The whole input of one phase; every seed fixed; ``extra`` merged last."""
    seed = dp_seed(schedule)
    whole: dict[str, Any] = {
        "model": model_input(config, elements, sel, seed),
        "learning_rate": {
            "type": "exp",
            "start_lr": schedule.start_lr,
            "stop_lr": schedule.stop_lr,
            "decay_steps": max(1, schedule.steps // 100),
        },
        "loss": loss_input(schedule, masked=folders.masked),
        "training": training_input(schedule, folders, seed),
    }
    if optimizer is not None:
        whole["optimizer"] = optimizer
    whole["training"]["disp_file"] = f"{name}.lcurve.out"
    whole["training"]["save_ckpt"] = f"{name}.ckpt"
    return Phase(name, schedule.steps, merged(whole, config.extra))


def dp_seed(schedule: TrainingSchedule) -> int:
    """The seed as DeePMD takes it."""
    return schedule.seed % 2**31


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid on it, key by key, into nested mappings."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result
