"""Configuration of the ASE explorer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sis_engine.interfaces import PluginConfig


class AseConfig(PluginConfig):
    """How MD is run with an ASE calculator, in this process.

    chain_length: of Nose-Hoover
    progress_every_steps: how often the stop check is asked and progress said
    """

    type: Literal["ase"] = "ase"
    chain_length: int = Field(default=3, ge=1)
    progress_every_steps: int = Field(default=10, ge=1)
