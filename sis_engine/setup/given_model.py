"""The existing model that generation 0 may be fine-tuned from (``initial.model``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Context, Trainer
from sis_engine.records import Model, ModelForm
from sis_engine.setup.assembly import Parts

KEY = "initial.model"


def adopt_given(parts: Parts, context: Context) -> Model | None:
    """The model in ``context.workdir``, or ``None`` where the campaign names none.

    Raises ConfigurationError when it cannot be trained further.
    """
    given = parts.config.initial.model
    if given is None:
        return None
    try:
        return adopt_trainable(parts.trainer, parts.path(given), parts.elements, context)
    except ConfigurationError as error:
        error.key, error.file = error.key or KEY, error.file or str(parts.file)
        raise


def adopt_trainable(
    trainer: Trainer, path: Path, elements: Sequence[str], context: Context
) -> Model:
    """The model in ``context.workdir``; ConfigurationError when it cannot be trained further."""
    model = trainer.adopt(path, elements, context)
    if model.file(ModelForm.EAGER) is None:
        raise ConfigurationError(
            f"{path} is an exported model: it runs, but it cannot be trained further",
            allowed="a checkpoint of the trainer",
        )
    return model
