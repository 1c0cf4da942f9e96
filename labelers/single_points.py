"""The frames of a task, one by one, for labelers that have single points only."""

from __future__ import annotations

from collections.abc import Iterator

from sis_engine.errors import ConfigurationError, StopRequested
from sis_engine.interfaces import Context, LabelTask, SinglePoints
from sis_engine.records import Frame, Origin


def points_of(task: LabelTask, context: Context, name: str) -> Iterator[tuple[Frame, Origin]]:
    """Each frame with its origin. Raises StopRequested between two of them.

    name: of the labeler, for messages
    """
    if not isinstance(task, SinglePoints):
        raise ConfigurationError(
            f"{name} has single points only, not {type(task).__name__}",
            hint="wrap it in sis_engine.reference_md.ReferenceMD",
        )
    for frame, origin in zip(task.frames, task.origins, strict=True):
        if context.stop():
            raise StopRequested(f"stopped between single points of {name}")
        yield frame, origin
