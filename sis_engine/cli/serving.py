"""The service: serve, submit, pause, resume, stop, cancel, list, logs, top."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sis_engine.cli.output import AsJson, print_json

Root = Annotated[
    Path,
    typer.Option(
        "--root", "-r", envvar="SIS_ROOT", help="The folder that the daemon serves; or SIS_ROOT."
    ),
]
Name = Annotated[str, typer.Argument(help="The campaign's name.", show_default=False)]
Approve = Annotated[bool, typer.Option("--approve", help="Go on past the stage it waits for.")]

DEFAULT_ROOT = Path("runs")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(serve)
    app.command()(submit)
    app.command()(pause)
    app.command()(resume)
    app.command()(stop)
    app.command()(cancel)
    app.command("list")(list_campaigns)
    app.command()(logs)
    app.command()(top)


def serve(
    root: Annotated[Path, typer.Argument(help="The folder of campaigns.")] = DEFAULT_ROOT,
    port: Annotated[
        int | None, typer.Option(help="Show them on this port of 127.0.0.1; 0: any free one.")
    ] = None,
    unix: Annotated[
        Path | None, typer.Option(help="Show them on this unix socket instead.")
    ] = None,
    walltime: Annotated[
        float | None, typer.Option(help="Have ended by so many seconds from now.")
    ] = None,
    print_template: Annotated[
        str | None, typer.Option("--print", help="Print a template: systemd or slurm.")
    ] = None,
) -> int:
    """Run the campaigns of a folder: a queue, slots, and a page in the browser."""
    from sis_engine.cli.signals import stop_on_signals

    listen = _listen(port, unix)
    if print_template is not None:
        from sis_engine.execution.program import find_program
        from sis_engine.service.templates import rendered

        program = find_program("sis")
        typer.echo(rendered(print_template, root.absolute(), program, " ".join(listen)), nl=False)
        return 0
    from sis_engine.service.daemon import serve as serve_root

    with stop_on_signals() as asked:
        return serve_root(
            root,
            stop=asked,
            log=lambda line: typer.echo(f"sis serve: {line}", err=True),
            listen=listen,
            walltime_s=walltime,
        )


def _listen(port: int | None, unix: Path | None) -> tuple[str, ...]:
    if port is not None and unix is not None:
        raise typer.BadParameter("give --port or --unix, not both")
    if unix is not None:
        return ("--unix", str(unix.absolute()))
    return () if port is None else ("--port", str(port))


def submit(
    campaign: Annotated[
        Path, typer.Argument(help="A campaign file, or the name of a campaign in the root.")
    ],
    root: Root = DEFAULT_ROOT,
    name: Annotated[str | None, typer.Option(help="Its name; default: the file's.")] = None,
    priority: Annotated[int, typer.Option(help="Higher ones start first.")] = 0,
    cores: Annotated[
        int | None, typer.Option(min=1, help="Held while it runs; default: execution.cores.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=0, help="Held while it runs.")] = 0,
    approve: Approve = False,
    as_json: AsJson = False,
) -> int:
    """Put a campaign into the daemon's queue."""
    from sis_engine.service.client import ask
    from sis_engine.service.places import Places
    from sis_engine.service.submitting import cores_of, set_up

    places = Places(root.absolute())
    ask(places, "list")  # nothing is made where nobody will run it
    if campaign.name in places.campaigns() and not campaign.is_file():
        chosen, said = campaign.name, cores_of(places, campaign.name)
    else:
        chosen, said = set_up(places, campaign, name)
    answer = ask(
        places, "submit", name=chosen, priority=priority, cores=cores or said, gpus=gpus,
        approve=approve,
    )  # fmt: skip
    return _say(answer, as_json=as_json)


def pause(name: Name, root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> int:
    """Stop a campaign at its next safe point; `sis resume` goes on."""
    return _send("pause", name, root, as_json=as_json)


def resume(
    name: Name, root: Root = DEFAULT_ROOT, approve: Approve = False, as_json: AsJson = False
) -> int:
    """Put a campaign that was paused, stopped, or has ended back into the queue."""
    return _send("resume", name, root, as_json=as_json, approve=approve)


def stop(name: Name, root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> int:
    """Stop a campaign and take it out of the queue; it stays in the list."""
    return _send("stop", name, root, as_json=as_json)


def cancel(name: Name, root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> int:
    """Stop a campaign and forget it; its folder stays."""
    return _send("cancel", name, root, as_json=as_json)


def list_campaigns(root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> int:
    """What is in the queue, what runs, and what is free."""
    from sis_engine.cli.service_view import show_list
    from sis_engine.service.client import ask
    from sis_engine.service.places import Places

    answer = ask(Places(root.absolute()), "list")
    if as_json:
        print_json(answer)
    else:
        show_list(answer)
    return 0


def logs(
    name: Name,
    root: Root = DEFAULT_ROOT,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    lines: Annotated[int, typer.Option("-n", min=0, help="How many lines to begin with.")] = 20,
    as_json: AsJson = False,
) -> int:
    """The last lines of a campaign's log."""
    from sis_engine.cli.signals import stop_on_signals
    from sis_engine.service.following import follow_lines, last_lines
    from sis_engine.service.places import Places

    folder = Places(root.absolute()).campaign(name)
    if as_json:
        print_json({"lines": last_lines(folder, lines)})
        return 0
    for line in last_lines(folder, lines):
        typer.echo(line)
    if follow:
        with stop_on_signals() as asked:
            for line in follow_lines(folder, asked):
                typer.echo(line)
    return 0


def top(
    root: Annotated[Path, typer.Argument(help="The folder of campaigns.")] = DEFAULT_ROOT,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    as_json: AsJson = False,
) -> int:
    """All campaigns of a folder in the terminal, live."""
    from sis_engine.cli.top import look, show_top

    if as_json:
        print_json({"campaigns": look(root)})
        return 0
    return show_top(root, every_s=every, once=once)


def _send(command: str, name: str, root: Path, *, as_json: bool, **more: Any) -> int:
    from sis_engine.service.client import ask
    from sis_engine.service.places import Places

    return _say(ask(Places(root.absolute()), command, name=name, **more), as_json=as_json)


def _say(answer: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        print_json(answer)
        return 0
    job = answer["job"]
    asked = "" if job["wanted"] == "run" else f", asked to {job['wanted']}"
    typer.echo(f"{job['name']}: {job['state']}{asked}")
    return 0
