"""Commented campaign files to start from: ``sis init`` and ``sis import``."""

from sis_engine.templates.imported import write_import
from sis_engine.templates.new import write_template

__all__ = ["write_import", "write_template"]
