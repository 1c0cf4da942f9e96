"""What a model sees: its descriptor of every atom, by DeePMD's inference interface.

Loaded by ``worker.py`` in DeePMD's own environment: it imports only DeePMD-kit and numpy.
"""

from pathlib import Path
from typing import Any

import numpy as np


def describe(model: str, block: dict[str, Any]) -> str:
    """Descriptors of one block of frames with the same atoms; the path of (n, n_atoms, d)."""
    from deepmd.infer import DeepPot

    potential = DeepPot(model)
    coord = np.load(block["coord"], allow_pickle=False)
    box = None if block["box"] is None else np.load(block["box"], allow_pickle=False)
    types = [int(kind) for kind in block["types"]]
    size = max(1, min(64, 4096 // max(1, len(types))))
    parts = [
        potential.eval_descriptor(
            coord[i : i + size].reshape(-1, 3 * len(types)),
            None if box is None else box[i : i + size].reshape(-1, 9),
            types,
        )
        for i in range(0, len(coord), size)
    ]
    path = Path(f"{block['out']}.descriptor.npy")
    np.save(path, np.concatenate(parts).astype(np.float64), allow_pickle=False)
    return str(path)
