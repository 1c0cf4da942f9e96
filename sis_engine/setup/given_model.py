"""The existing model that generation 0 may be fine-tuned from (``initial.model``)."""

from __future__ import annotations

from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Context
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
    path = parts.path(given)
    try:
        model = parts.trainer.adopt(path, parts.elements, context)
    except ConfigurationError as error:
        error.key, error.file = error.key or KEY, error.file or str(parts.file)
        raise
    if model.file(ModelForm.EAGER) is None:
        raise ConfigurationError(
            f"{path} is an exported model: it runs, but it cannot be trained further",
            file=parts.file,
            key=KEY,
            allowed="a checkpoint of the trainer",
        )
    return model
