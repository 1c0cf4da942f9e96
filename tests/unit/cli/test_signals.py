from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from sis_engine.cli.signals import stop_on_signals


def test_exit_codes_of_programs_are_kept_though_whoever_started_us_ignored_its_children() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with stop_on_signals() as asked:
            assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
            assert not asked()
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_stop_is_heard_before_what_takes_time_to_load(tmp_path: Path) -> None:
    """A signal in the first second of ``sis run`` would end it with the shell's code, 143."""
    code = (
        "import signal, sys\n"
        "from sis_engine.cli.main import main\n"
        "before = signal.signal\n"
        "def heard(number, handler):\n"
        "    if number == signal.SIGTERM:\n"
        "        print('sis_engine.campaign.runner' in sys.modules, 'numpy' in sys.modules)\n"
        "        sys.exit(9)\n"
        "    return before(number, handler)\n"
        "signal.signal = heard\n"
        f"sys.argv = ['sis', 'run', {str(tmp_path / 'x.yaml')!r}]\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (9, "False False\n"), done.stderr
