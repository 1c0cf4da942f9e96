"""What the worker process of DeePMD-kit does: train, freeze, compress and predict, one start-up.

Served by :mod:`sis_engine.execution.serve`. It imports only DeePMD-kit, torch and numpy, so that
the interpreter of another environment can run it.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

Answer = dict[str, Any]

STATISTICS = (".mean", ".stddev", ".davg", ".dstd")
"""How DeePMD's backends name the statistics of a descriptor."""


class DivergedError(Exception):
    """The trained weights are not finite."""

    kind = "diverged"


def start() -> None:
    """Import DeePMD-kit; it takes 10 to 18 s."""
    import logging

    from deepmd.loggers.loggers import set_log_handles
    from deepmd.pt.entrypoints import main as _dp  # noqa: F401  the slow import, done while waiting

    set_log_handles(logging.INFO, None, mpi_log=None)


def train(request: Answer, watch: Any) -> Answer:
    """Train by DeePMD's own entry point, phase after phase; freeze, compress, state the errors."""
    from deepmd.pt.entrypoints import main as dp

    start, mode = request["start"], request["start_mode"]
    if start is not None:
        start = _with_room(start, sum(request["sel"]))
    checkpoint = Path()
    for phase in request["phases"]:
        checkpoint = _train_phase(request["backend"], phase, start, mode).resolve()
        start, mode = str(checkpoint), "init"
        watch.lap(f"train {phase['name']}")
    _assert_finite(checkpoint)
    _forget_optimizer(checkpoint)
    files = {"eager": checkpoint.name}
    _freeze(checkpoint)
    files["frozen"] = "frozen.pth"
    watch.lap("freeze")
    if request["compress"]:
        dp.enable_compression(
            input_file="frozen.pth",
            output="compressed.pth",
            stride=request["compress_step"],
            training_script=request["phases"][0]["input"],
        )
        files["compressed"] = "compressed.pth"
        watch.lap("compress")
    claimed = _predict_all(_eager(str(checkpoint)), request["claim"])
    watch.lap("claim")
    return {"files": files, "claimed": claimed}


def _train_phase(backend: str, phase: Answer, start: str | None, mode: str) -> Path:
    """One run of DeePMD's entry point, on a trainer that we have prepared."""
    from deepmd.pt.entrypoints import main as dp

    if backend == "pt-expt":
        _sibling("worker_expt").train(phase, start, mode)
        return Path(phase["checkpoint"])

    make, undo = dp.get_trainer, list[Any]()

    def prepared(*given: Any, **named: Any) -> Any:
        trainer = make(*given, **named)
        undo.extend(_prepare(trainer, phase, fresh=start is None))
        return trainer

    dp.get_trainer = prepared
    try:
        dp.train(
            phase["input"],
            init_model=start if mode == "init" else None,
            restart=None,
            finetune=start if mode == "finetune" else None,
            init_frz_model=None,
            model_branch="",
            skip_neighbor_stat=True,
        )
    except RuntimeError as error:
        if "NaN detected" in str(error):
            raise DivergedError("the loss is not a number") from error
        raise
    finally:
        dp.get_trainer = make
        for step in undo:
            step()
    return Path(phase["checkpoint"])


def _with_room(checkpoint: str, n_neighbours: int) -> str:
    """The checkpoint with statistics for so many neighbours; itself, if it has them already.

    Mean and deviation of the environment matrix, (n_types, n_neighbours, 4), are the same for all
    neighbours of a type, so that a larger ``sel`` only repeats them.
    """
    import torch

    whole = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state, changed = whole.get("model", whole), False
    for name, value in state.items():
        if name.endswith(STATISTICS) and value.ndim == 3 and value.shape[1] != n_neighbours:
            state[name] = value[:, :1].expand(-1, n_neighbours, -1).clone()
            changed = True
    if not changed:
        return checkpoint
    target = Path("start-with-room.pt").resolve()
    torch.save(whole, target)
    return str(target)


def _prepare(trainer: Any, phase: Answer, *, fresh: bool) -> list[Any]:
    """Batches from memory, the scale of the descriptor, the Kalman filter; what undoes them."""
    from deepmd.pt.utils.env import DEVICE

    if fresh and phase["gain"] != 1.0:
        for name, buffer in trainer.model.named_buffers():
            if name.endswith("stddev"):
                buffer.div_(phase["gain"])
    batches = _sibling("worker_batches").install(trainer, DEVICE, phase["seed"])
    if trainer.opt_type != "LKF":
        return []
    covariance = phase["covariance"] if fresh else phase["covariance_continued"]
    kalman = _sibling("worker_kalman")
    atoms = lambda: (batches.movable, batches.chances)  # noqa: E731
    last = trainer.num_steps
    averaged = range(last - max(1, round(phase["average"] * last)) + 1, last + 1)
    return [kalman.install(trainer.optimizer, phase["seed"], atoms, covariance, averaged)]


def _sibling(name: str) -> Any:
    """A script beside this one, by its path: nothing here is on the module path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def predict(request: Answer, watch: Any) -> Answer:
    """Energies, forces and virials of frames by one form of a model."""
    evaluate = (_eager if request["form"] == "eager" else _deployed)(request["model"])
    watch.lap("load")
    outputs = _predict_all(evaluate, request["blocks"])
    watch.lap("predict")
    return {"outputs": outputs}


def describe(request: Answer, watch: Any) -> Answer:
    """What a frozen model sees of each atom."""
    path = _sibling("worker_describe").describe(request["model"], request["block"])
    watch.lap("describe")
    return {"descriptors": path}


def adopt(request: Answer, watch: Any) -> Answer:
    """Freeze somebody else's checkpoint, or take the frozen file; its type map and limits."""
    from deepmd.infer import DeepPot

    source = Path(request["model"])
    files = {"frozen": str(source)}
    if source.suffix == ".pt":
        _freeze(source)
        files = {"eager": str(source), "frozen": "frozen.pth"}
        watch.lap("freeze")
    potential = DeepPot(files["frozen"])
    inner = potential.deep_eval.dp.model["Default"]
    return {
        "files": files,
        "type_map": list(potential.get_type_map()),
        "cutoff": float(potential.get_rcut()),
        "sel": [int(n) for n in inner.get_sel()],
        "parameters": potential.get_model_def_script(),
    }


def _assert_finite(checkpoint: Path) -> None:
    import torch

    for name, value in _state(checkpoint).items():
        if torch.is_tensor(value) and not bool(torch.isfinite(value).all()):
            raise DivergedError(f"weights {name} are not finite")


def _state(checkpoint: Path) -> Answer:
    import torch

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    weights: Answer = state.get("model", state)
    return weights


def _forget_optimizer(checkpoint: Path) -> None:
    """Leave the weights: the next training begins a filter of its own, and the covariance is a
    hundred times as large as they are. DeePMD-kit asks for the key, also where it reads no more.
    """
    import torch

    whole = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if whole.get("optimizer"):
        torch.save(whole | {"optimizer": {}}, checkpoint)


def _freeze(checkpoint: Path) -> None:
    """Export as ``frozen.pth``, whichever backend trained it."""
    from deepmd.pt.entrypoints import main as dp

    expt = _sibling("worker_expt")
    if expt.is_ours(_state(checkpoint)):
        expt.freeze(str(checkpoint), "frozen.pth")
    else:
        dp.freeze(model=str(checkpoint), output="frozen.pth")


def _eager(model_file: str) -> Any:
    """The checkpoint as training evaluates it: the Python module in training mode, its own
    neighbour list; not the scripted module and other neighbour lists of inference.
    """
    import torch
    from deepmd.pt.train.training import get_model_for_wrapper
    from deepmd.pt.train.wrapper import ModelWrapper
    from deepmd.pt.utils.env import DEVICE, GLOBAL_PT_FLOAT_PRECISION

    state, expt = _state(Path(model_file)), _sibling("worker_expt")
    if expt.is_ours(state):
        wrapper = expt.load(model_file)[0]
    else:
        parameters = state["_extra_state"]["model_params"]
        wrapper = ModelWrapper(get_model_for_wrapper(parameters, resuming=True).to(DEVICE))
        wrapper.load_state_dict(state)
    wrapper.train()

    def evaluate(coord: Any, box: Any, types: Any) -> tuple[Any, Any, Any]:
        n_frames, n_atoms = coord.shape[:2]
        given = torch.tensor(coord, dtype=GLOBAL_PT_FLOAT_PRECISION, device=DEVICE)
        cell = None
        if box is not None:
            cell = torch.tensor(box, dtype=GLOBAL_PT_FLOAT_PRECISION, device=DEVICE)
        kinds = torch.tensor(np.tile(types, (n_frames, 1)), dtype=torch.long, device=DEVICE)
        result = wrapper(given.requires_grad_(True), kinds, box=cell)[0]
        return (
            result["energy"].detach().cpu().numpy().reshape(n_frames),
            result["force"].detach().cpu().numpy().reshape(n_frames, n_atoms, 3),
            result["virial"].detach().cpu().numpy().reshape(n_frames, 3, 3),
        )

    return evaluate


def _deployed(model_file: str) -> Any:
    """An exported file through DeePMD's inference interface."""
    from deepmd.infer import DeepPot

    potential = DeepPot(model_file)

    def evaluate(coord: Any, box: Any, types: Any) -> tuple[Any, Any, Any]:
        n_frames, n_atoms = coord.shape[:2]
        energy, force, virial = potential.eval(
            coord.reshape(n_frames, -1), box, [int(kind) for kind in types]
        )[:3]
        return (
            energy.reshape(n_frames),
            force.reshape(n_frames, n_atoms, 3),
            virial.reshape(n_frames, 3, 3),
        )

    return evaluate


def _predict_all(evaluate: Any, blocks: list[Answer]) -> list[Answer]:
    return [_predict_block(evaluate, block) for block in blocks]


def _predict_block(evaluate: Any, block: Answer) -> Answer:
    """One block of frames with the same atoms, in batches that fit a small memory."""
    coord = np.load(block["coord"], allow_pickle=False)
    box = None if block["box"] is None else np.load(block["box"], allow_pickle=False)
    types = np.array(block["types"])
    size = max(1, min(64, 4096 // max(1, len(types))))
    parts = [
        evaluate(coord[i : i + size], None if box is None else box[i : i + size], types)
        for i in range(0, len(coord), size)
    ]
    out = {}
    for name, arrays in zip(("energy", "force", "virial"), zip(*parts, strict=True), strict=True):
        path = Path(f"{block['out']}.{name}.npy")
        np.save(path, np.concatenate(arrays).astype(np.float64), allow_pickle=False)
        out[name] = str(path)
    return out


OPERATIONS = {"train": train, "predict": predict, "describe": describe, "adopt": adopt}
