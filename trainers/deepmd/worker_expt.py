"""DeePMD's second PyTorch backend (pt-expt) as a faster way to train; run in the worker process.

It trains dpa1 on an edge list of real neighbours, twice as fast; what is deployed is converted to
the TorchScript form that LAMMPS runs, which pads neighbour lists. Where a padded neighbour is not
silent (dpa1 with ``set_davg_zero: false``) the two are different models.
"""

from typing import Any


def train(phase: dict[str, Any], start: str | None, mode: str) -> None:
    """DeePMD's entry point, as in the first backend."""
    from deepmd.pt_expt.entrypoints import main as dp
    from deepmd.utils import random as dp_random

    make = dp.get_trainer

    def prepared(*given: Any, **named: Any) -> Any:
        trainer = make(*given, **named)
        if start is None and phase["gain"] != 1.0:
            for name, buffer in trainer.wrapper.named_buffers():
                if name.endswith(("stddev", "dstd")):
                    buffer.div_(phase["gain"])
        return trainer

    dp_random.seed(phase["seed"])  # this backend's loaders draw from it, unseeded
    dp.get_trainer = prepared
    try:
        dp.train(
            phase["input"],
            init_model=start if mode == "init" else None,
            finetune=start if mode == "finetune" else None,
            skip_neighbor_stat=True,
        )
    finally:
        dp.get_trainer = make


def is_ours(state: dict[str, Any]) -> bool:
    """Whether a checkpoint's weights are named as this backend names them."""
    return any("._module_networks." in name for name in state)


def freeze(checkpoint: str, output: str) -> None:
    """The checkpoint as a TorchScript file of the first backend."""
    from deepmd.pt.utils.serialization import deserialize_to_file

    wrapper, parameters = load(checkpoint)
    wrapper.eval()
    model = wrapper.model["Default"]
    deserialize_to_file(output, {"model": model.serialize(), "model_def_script": parameters})


def load(checkpoint: str) -> tuple[Any, dict[str, Any]]:
    """The checkpoint as this backend trains it, and its model parameters."""
    import torch
    from deepmd.pt_expt.model.get_model import get_model
    from deepmd.pt_expt.train.wrapper import ModelWrapper
    from deepmd.pt_expt.utils.env import DEVICE

    state = torch.load(checkpoint, map_location=DEVICE, weights_only=True)
    state = state.get("model", state)
    parameters = state["_extra_state"]["model_params"]
    wrapper = ModelWrapper(get_model(parameters).to(DEVICE))
    wrapper.load_state_dict(state)
    return wrapper, parameters
