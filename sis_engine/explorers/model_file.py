"""A model file is code: it is loaded only if its hash is the recorded one."""

from __future__ import annotations

import hashlib

from sis_engine.errors import TornFile
from sis_engine.records import Model


def verify_model(model: Model) -> None:
    """Raise TornFile unless the deployed file, if the model has one, has its recorded hash."""
    if not model.files:
        return  # a classical potential: all of it is in the pair style
    item = model.deployed_file
    try:
        with item.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise TornFile(
            f"model {model.id}: its {item.form.value} file is gone",
            path=item.path,
            hint=f"restore {item.path} from the generation file",
        ) from error
    if found != item.sha256:
        raise TornFile(
            f"model {model.id}: {item.path} has sha256 {found}, recorded is {item.sha256}",
            path=item.path,
            hint="somebody changed the file; restore it from the generation file",
        )
