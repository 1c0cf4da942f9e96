"""Configuration of the xTB labeler."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sis_engine.interfaces import PluginConfig


class XtbConfig(PluginConfig):
    """GFN-xTB settings. Defaults: tblite's own, but for a tighter accuracy.

    accuracy: factor on tblite's SCF thresholds; at 1.0 forces carry 1e-4 eV/Å of noise, at 0.1
        1e-5 eV/Å, for the same time within a few per cent
    threads: OpenMP threads of one calculation; more than one only pays on idle cores and large
        systems, and results are then no longer bitwise reproducible
    charges: record partial charges
    periodic_gfn2_charges: GFN2 charges of periodic frames differ between codes (tblite issue 5);
        they are refused unless asked for here by name
    warm_start: begin each SCF from the last frame's density: about 1.5 times faster, but labels
        then depend (within the SCF threshold) on what came before, so not in the *exact* setting
    """

    type: Literal["xtb"] = "xtb"
    method: Literal["GFN1-xTB", "GFN2-xTB"] = "GFN2-xTB"
    accuracy: float = Field(default=0.1, gt=0.0, le=1000.0)
    electronic_temperature_k: float = Field(default=300.0, gt=0.0)
    max_iterations: int = Field(default=250, ge=1)
    threads: int = Field(default=1, ge=1)
    charges: bool = False
    periodic_gfn2_charges: bool = False
    warm_start: bool = False
