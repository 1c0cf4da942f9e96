"""Configuration of the DeePMD trainer: descriptor, fitting net, and how the program is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from sis_engine.interfaces import PluginConfig

Neurons = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeE2A(_Part):
    """Two-body embedding of radial and angular information, an embedding net per element.

    type_one_side: embed by the neighbour's element only: 3x faster to train, and with 7 elements
        7 nets instead of 49
    """

    type: Literal["se_e2_a"]
    neuron: Neurons = (16, 32, 64)
    axis_neuron: PositiveInt = 8
    type_one_side: bool = True


class SeE3(_Part):
    """Three-body embedding of angles: costly in neighbours, so keep the net small."""

    type: Literal["se_e3"]
    neuron: Neurons = (2, 4, 8)


class Dpa1(_Part):
    """Type-embedded descriptor: one net for all elements, the fastest here (measured: 266 steps/s).

    attn_layer: 0, since attention layers cannot be compressed
    set_davg_zero: keep it true. With false the padded neighbours have a non-zero environment
        matrix, and training and inference take different code paths (deepmd-kit#5973, #5862): the
        trained model is then not the deployed one, and admission refuses it
    """

    type: Literal["dpa1"] = "dpa1"
    neuron: Neurons = (8, 16, 32)
    axis_neuron: PositiveInt = 4
    tebd_dim: PositiveInt = 8
    tebd_input_mode: Literal["strip", "concat"] = "strip"
    type_one_side: bool = True
    attn_layer: Annotated[int, Field(ge=0)] = 0
    set_davg_zero: bool = True

    @property
    def compressible(self) -> bool:
        return self.attn_layer == 0 and self.tebd_input_mode == "strip"


Descriptor = Annotated[SeE2A | SeE3 | Dpa1, Field(discriminator="type")]


class Fitting(_Part):
    """The net from descriptor to atomic energy."""

    neuron: Neurons = (24, 24, 24)
    resnet_dt: bool = True


class Adam(_Part):
    """Gradient descent by DeePMD's default optimiser, with the schedule's learning rates."""

    type: Literal["adam"] = "adam"


POLISH_STEPS = 500
"""Of Adam, after the Kalman filter, for the virials that it does not see."""


class Kalman(_Part):
    """DeePMD's layerwise Kalman filter: on small nets a fraction of the seconds to the same error.

    LiFSI + dioxolane, relative force RMSE on an independent trajectory after 30 s on one core:
    0.25, where Adam had 0.7. One step is one energy and four force updates, five times an Adam
    step; learning rates and prefactors of the schedule are not used. Its cost grows with
    ``block_size`` squared; keep the nets small.

    It ends on a noise floor. The mean of the last steps' weights takes it out for nothing: 0.135
    eV/Å for the quickstart's fourth training (550 steps) and 0.324 for one from random weights,
    where 350 steps and 600 of Adam, as long, gave 0.160 and 0.439; Adam after the mean made it
    worse. So Adam polishes only where it is asked to: it alone sees virials.

    steps_ratio: Kalman steps per step of the schedule
    average: share of the steps, the last ones, whose mean the weights become
    polish_steps: of Adam; ``None``: 500 where the schedule has a virial prefactor, else none
    covariance: of the weights at the start; less than 1 is gentler (a too bold start kills the
        net: all its forces are zero then, and training is said to have diverged)
    covariance_continued: the same where training continues from a model
    """

    type: Literal["lkf"] = "lkf"
    block_size: PositiveInt = 1024
    steps_ratio: PositiveFloat = 1.0
    covariance: PositiveFloat = 1.0
    covariance_continued: PositiveFloat = 1.0
    average: Annotated[float, Field(ge=0.0, le=1.0)] = 0.15
    energy_prefactor: PositiveFloat = 1.0
    force_prefactor: PositiveFloat = 1.0
    polish_steps: NonNegativeInt | None = None
    polish_start_lr: PositiveFloat = 1e-3
    polish_stop_lr: PositiveFloat = 1e-5

    def polish_steps_for(self, *, virials: bool) -> int:
        """Adam's steps. virials: whether the schedule asks for them"""
        if self.polish_steps is not None:
            return self.polish_steps
        return POLISH_STEPS if virials else 0


Optimizer = Annotated[Adam | Kalman, Field(discriminator="type")]


class Zbl(_Part):
    """Short-range repulsion of Ziegler, Biersack and Littmark under the model.

    Below ``switch_start_angstrom`` (softmin of the neighbour distances) the pair table acts
    alone, above ``switch_end_angstrom`` the model alone. Take the end below the shortest bond.
    """

    switch_start_angstrom: PositiveFloat = 0.4
    switch_end_angstrom: PositiveFloat = 0.7
    softmin_angstrom: PositiveFloat = 0.1

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.switch_start_angstrom >= self.switch_end_angstrom:
            raise ValueError("switch_start_angstrom must be below switch_end_angstrom")
        return self


Activation = Literal["tanh", "gelu", "softplus", "sigmoid", "relu", "relu6", "silu"]


class DeepmdConfig(PluginConfig):
    """What a person may say of the DeePMD trainer. Defaults are measured (benchmarks/model_speed).

    elements: type map; ``None``: those of the data, in alphabetical order
    sel: largest number of neighbours within the cutoff: ``auto`` (counted in the first data,
        times ``sel_margin``), one number in all, or one per element in the order of ``elements``
    descriptor_gain: the environment matrix is divided by its standard deviation over this number;
        about 3 lets se_e2_a learn several times faster on molecules (much more saturates the net)
    balance_elements: weight each atom's forces by the inverse mean square force of its element, so
        that all elements reach the same *relative* error, which is what an audit asks of them
    backend: ``pt``, or ``pt-expt``, whose checkpoint is converted for LAMMPS (not for lkf, zbl)
    cutoff_angstrom: 5 suits molecules; more costs MD speed in proportion to the neighbours
    activation: ``None``: silu, since a tanh net may saturate under the Kalman filter's first steps
        (seen at 6 Å); tanh for se_e3, whose unbounded net begins far off (forces 79 eV/Å wrong
        where tanh begins with 0.3)
    precision: float32 runs MD 10-15 % faster here and trains as well; float64 for tight tests
    compress: tabulate the embedding net; ``auto`` does so wherever the descriptor allows it
        (it costs about a second inside the worker and doubles the MD speed)
    compress_step: of that table, in units of the scaled environment matrix; ``None``: 0.01 in
        float64, 0.1 in float32, where a finer table is *worse*: its quintic coefficients are small
        differences of large numbers. Largest force error on LiFSI/dioxolane, float32: 7e-3 eV/Å
        at 0.0025, 2e-3 at 0.01, 2e-4 at 0.08, 8e-5 at 0.16, 8e-4 (now interpolation) at 0.32.
        se_e3 tabulates products of two distances and is 0.7 eV/Å wrong at 0.1: 0.01
    python: interpreter of DeePMD's own environment; ``None``: this one
    threads: of the worker. One: a second gains nothing below some hundred atoms, and where other
        jobs want the cores it costs ten times
    keep_worker: keep the process between calls: saves its start, some 10 s each time
    extra: merged last, key by key, into DeePMD's own input
    claim_frames: training frames on which the trained model states its errors; more are sampled,
        and a sample may miss the few bad frames that carry a mean square
    divergence_ratio: training force RMSE over RMS reference force at which it has diverged (a
        model that says zero everywhere has 1)
    """

    type: Literal["deepmd"] = "deepmd"
    elements: tuple[str, ...] | None = None
    descriptor: Descriptor = Dpa1()
    cutoff_angstrom: PositiveFloat = 5.0
    cutoff_smooth_angstrom: NonNegativeFloat = 0.5
    sel: Literal["auto"] | PositiveInt | tuple[PositiveInt, ...] = "auto"
    sel_margin: Annotated[float, Field(ge=1.0, le=5.0)] = 1.3
    descriptor_gain: PositiveFloat = 1.0
    balance_elements: bool = False
    fitting: Fitting = Fitting()
    optimizer: Optimizer = Kalman()
    activation: Activation | None = None
    precision: Literal["float64", "float32"] = "float32"
    backend: Literal["pt", "pt-expt"] = "pt"
    compress: bool | Literal["auto"] = "auto"
    compress_step: PositiveFloat | None = None
    zbl: Zbl | None = None
    python: Path | None = None
    device: Literal["auto", "cpu"] = "auto"
    threads: PositiveInt = 1
    keep_worker: bool = True
    extra: dict[str, Any] = Field(default_factory=dict)
    claim_frames: PositiveInt = 4096
    divergence_ratio: PositiveFloat = 10.0
    start_timeout_s: PositiveFloat = 300.0
    silence_timeout_s: PositiveFloat = 3600.0
    timeout_s: PositiveFloat = 7 * 86400.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.cutoff_smooth_angstrom >= self.cutoff_angstrom:
            raise ValueError(
                f"cutoff_smooth_angstrom ({self.cutoff_smooth_angstrom}) must be below "
                f"cutoff_angstrom ({self.cutoff_angstrom})"
            )
        if self.compress is True and not self.compressible:
            raise ValueError(
                "compress: true needs se_e2_a, se_e3, or dpa1 with attn_layer 0, strip"
            )
        if self.zbl is not None and not isinstance(self.descriptor, Dpa1):
            raise ValueError(
                "zbl needs the dpa1 descriptor (DeePMD's pair table takes mixed types)"
            )
        if self.backend == "pt-expt" and (self.zbl is not None or self.optimizer.type == "lkf"):
            raise ValueError("pt-expt has neither zbl nor lkf: say optimizer: {type: adam}")
        together = isinstance(self.descriptor, Dpa1)
        if self.sel != "auto" and isinstance(self.sel, int) != together:
            wanted = "one sel for all neighbours together" if together else "one sel per element"
            raise ValueError(f"{self.descriptor.type} takes {wanted}, or auto")
        return self

    @property
    def activation_function(self) -> Activation:
        """What the nets are made of."""
        if self.activation is not None:
            return self.activation
        return "tanh" if self.descriptor.type == "se_e3" else "silu"

    @property
    def table_step(self) -> float:
        """Step of the compressed embedding's table."""
        if self.compress_step is not None:
            return self.compress_step
        coarse = self.precision == "float32" and self.descriptor.type != "se_e3"
        return 0.1 if coarse else 0.01

    @property
    def compressible(self) -> bool:
        return not isinstance(self.descriptor, Dpa1) or self.descriptor.compressible

    @property
    def wants_compression(self) -> bool:
        return self.compressible if self.compress == "auto" else self.compress
