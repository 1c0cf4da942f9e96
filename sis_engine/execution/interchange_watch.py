"""Parsl's interchange, which would otherwise outlive a killed engine and hold its nodes for good.

Started by path with the interchange's script as its argument. When the engine is gone so is this
process; its workers then end within their heartbeat, and their last results are in the spool.
"""

import os
import runpy
import sys
import threading
import time

LOOK_S = 1.0


def end_with(parent: int) -> None:
    """Ends this process once its parent is another."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(0)


if __name__ == "__main__":
    os.setsid()  # Ctrl-C is for the engine, which then ends this process in order
    threading.Thread(target=end_with, args=(int(sys.argv[1]),), daemon=True).start()
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")
