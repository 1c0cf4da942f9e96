"""Every sampler that ships keeps the sampler contract."""

from typing import Any

import numpy as np
import pytest

from sis_engine.plugins import Kind, configure
from sis_engine.records import Requests
from sis_engine.testing.sampler_contract import check_sampler

SHIPPED: list[dict[str, Any]] = [
    {"type": "sis"},
    {"type": "sis", "published": True},
    {"type": "sis", "segments_per_system": 3, "single_points": 4, "bisect": None},
    {"type": "sis", "duration_schedule_ps": [1.0, 5.0]},
    {"type": "sis-paper"},
    {"type": "random"},
    {"type": "stride", "labels_per_system": 7},
    {"type": "aimd"},
    {"type": "hybrid", "force_field": {"type": "teacher"}},
    {"type": "committee"},
    {"type": "committee", "choice": "mrmr", "confirm": False},
    {"type": "committee", "choice": "random", "trust": {"mode": "adaptive"}},
    {"type": "committee", "energy": {"lo": 0.001, "hi": 0.002}},
    {"type": "committee", "grid": {"temperatures_k": [50.0, 300.0], "per_generation": 1}},
    {"type": "sis-lean"},
    {"type": "sis-lean", "choice": "farthest"},
    {"type": "sis-lean", "choice": "mrmr", "members": 4, "window_fs": 200.0, "merged": False},
    {"type": "sis-lean", "choice": "stride", "edges_per_system": 0, "audit": {"early": True}},
    {"type": "sis-lean", "points_per_system": 0, "segments_per_system": 2},
]


@pytest.mark.parametrize("settings", SHIPPED, ids=str)
def test_a_shipped_sampler_keeps_the_contract(settings):
    check_sampler(configure(Kind.SAMPLER, settings, key="sampler"))


def test_the_contract_finds_a_sampler_that_rolls_dice_anew():
    honest = configure(Kind.SAMPLER, {"type": "sis"}, key="sampler")

    class Gambler:
        Config = honest.Config
        needs = honest.needs

        @classmethod
        def from_config(cls, config):
            return cls()

        def check(self, replicas):
            pass

        def conditions(self, base, generation, system=None):
            return (base,)

        def decide(self, given):
            return Requests((), f"dice show {np.random.default_rng().random()}")

    with pytest.raises(AssertionError, match="decide is not pure"):
        check_sampler(Gambler())
