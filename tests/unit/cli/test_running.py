from __future__ import annotations

import signal

from sis_engine.cli.running import stop_on_signals


def test_exit_codes_of_programs_are_kept_though_whoever_started_us_ignored_its_children() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with stop_on_signals() as asked:
            assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
            assert not asked()
    finally:
        signal.signal(signal.SIGCHLD, before)
