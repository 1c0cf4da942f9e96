"""The borders: what a labeler, trainer, explorer, monitor, sampler and executor are.

Every border is a :class:`typing.Protocol`; contract tests that any implementation can run ship in
:mod:`sis_engine.testing`. A plugin is a class with a ``Config`` (a pydantic model that forbids
unknown keys) and ``from_config``; it is found by an entry point in group ``sis_engine.<kind>``.
"""

from sis_engine.interfaces.executor import Executor, Future
from sis_engine.interfaces.explorer import Arrangeable, Explorer, MdTask
from sis_engine.interfaces.labeler import (
    Capability,
    Labeler,
    LabelTask,
    Optimisation,
    Segment,
    SinglePoints,
)
from sis_engine.interfaces.monitor import Monitor, MonitorContext
from sis_engine.interfaces.parts import (
    Context,
    GivesExample,
    InputPath,
    KnowsVersions,
    PluginConfig,
    ProgramReport,
    Progress,
    never_stop,
    no_progress,
)
from sis_engine.interfaces.sampler import Needs, Sampler, SamplerInput
from sis_engine.interfaces.trainer import (
    Describer,
    KeepsProgram,
    SeesNeighbours,
    StartsEarly,
    Trainer,
)

__all__ = [
    "Arrangeable",
    "Capability",
    "Context",
    "Describer",
    "Executor",
    "Explorer",
    "Future",
    "GivesExample",
    "InputPath",
    "KeepsProgram",
    "KnowsVersions",
    "LabelTask",
    "Labeler",
    "MdTask",
    "Monitor",
    "MonitorContext",
    "Needs",
    "Optimisation",
    "PluginConfig",
    "ProgramReport",
    "Progress",
    "Sampler",
    "SamplerInput",
    "SeesNeighbours",
    "Segment",
    "SinglePoints",
    "StartsEarly",
    "Trainer",
    "never_stop",
    "no_progress",
]
