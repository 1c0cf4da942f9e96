"""The daemon's queue on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show_list(answer: dict[str, Any]) -> None:
    """A line a campaign, then what is free."""
    console = Console(highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "state", "priority", "cores", "gpus", "reason"):
        table.add_column(column)
    for job in answer["jobs"]:
        asked = job["state"] == "running" and job["wanted"] != "run"
        state = f"running, asked to {job['wanted']}" if asked else job["state"]
        reason = str(job["reason"]).splitlines()
        table.add_row(
            job["name"], state, str(job["priority"]), str(job["cores"]), str(job["gpus"]),
            Text(reason[0] if reason else "", overflow="ellipsis", no_wrap=True),
        )  # fmt: skip
    if answer["jobs"]:
        console.print(table)
    else:
        console.print("the queue is empty; `sis submit FILE` adds to it")
    for name in answer["others"]:
        console.print(f"{name}  not in the queue; sis submit {name}", markup=False)
    slots, free = answer["slots"], answer["free"]
    console.print(
        f"free: {len(free['cores'])} of {len(slots['cores'])} cores, "
        f"{len(free['gpus'])} of {len(slots['gpus'])} GPUs"
    )
