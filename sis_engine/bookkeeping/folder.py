"""A campaign's folder: made once, opened again, its configuration compared with what was accepted.

campaign.yaml   as given; edit it here, or give another file to ``sis run``
inputs/         copies of the structures, so that the folder stands on its own
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sis_engine.config.changes import Change, When, changes_between, text_for_now
from sis_engine.config.file import parse_yaml, read_campaign_text, read_text, with_line
from sis_engine.errors import ConfigurationError, TornFile
from sis_engine.setup.assembly import Parts, assemble
from sis_engine.storage.atomic import move_aside, write_text
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.generation import GENERATIONS_FOLDER
from sis_engine.storage.ledger import LEDGER_FILE, Ledger, Outcome
from sis_engine.structures import structure_text

CONFIG_FILE = "campaign.yaml"
INPUTS = "inputs"
_FORKED = "forked_with_changes"


@dataclass(frozen=True)
class Accepted:
    """What a run may go by.

    begun: there is a campaign already, whose initial data and model were looked at
    parts: of the configuration that holds now;  next_parts: that which holds from the next
        generation on (the same object where nothing waits)
    changes: what an edit changed since the last run
    from_generation: the first one that changes which do not hold now will hold for
    """

    parts: Parts
    next_parts: Parts
    changes: tuple[Change, ...] = ()
    from_generation: int = 0
    begun: bool = True

    @property
    def waits(self) -> bool:
        """Does something hold from the next generation on only?"""
        return self.parts is not self.next_parts


def exists(folder: Path) -> bool:
    """Is there a campaign in this folder?"""
    return (folder / LEDGER_FILE).is_file()


def folder_of(campaign: Path) -> Path | None:
    """The folder of a campaign that was begun, from it or from its ``campaign.yaml``.

    ``None``: a campaign file of no campaign yet. ConfigurationError for a folder without one.
    """
    if campaign.is_dir():
        if not exists(campaign):
            raise ConfigurationError(
                f"{campaign} is a folder without a campaign in it",
                allowed="a campaign file, or the folder of one that was begun",
                hint="`sis init` writes a campaign file",
            )
        return campaign
    return campaign.parent if campaign.name == CONFIG_FILE and exists(campaign.parent) else None


def accepted_of(campaign: Path) -> Accepted:
    """What ``sis run`` of a campaign file, or of a folder whose file was edited, would go by.

    Nothing is written. Raises ConfigurationError naming the keys that only a fork may change.
    """
    folder = folder_of(campaign)
    if folder is None:
        parts = assemble(campaign)
        return Accepted(parts, parts, begun=False)
    with Ledger(folder, read_only=True) as ledger:
        return reopen(folder, ledger, None, half_done=False)


def create(folder: Path, parts: Parts, ledger: Ledger) -> None:
    """Write the campaign's own copies and its identity; the state is set last."""
    (folder / INPUTS).mkdir(exist_ok=True)
    written = {}
    for system in parts.systems:
        name, text = f"{system.name}.extxyz", structure_text(system.frame)
        written[name] = text
        write_text(folder / INPUTS / name, text)
    ledger.set_meta(INPUTS, json.dumps(written))
    write_text(folder / CONFIG_FILE, parts.text)
    ledger.set_meta("config_file", str(parts.base.absolute()))
    ledger.set_meta("campaign_id", uuid.uuid4().hex)
    ledger.set_meta("name", parts.config.name)
    ledger.set_meta("config_text", parts.text)


def is_created(ledger: Ledger) -> bool:
    """The configuration is the last thing :func:`create` writes."""
    return ledger.meta("config_text") is not None


def mend_inputs(folder: Path, ledger: Ledger) -> tuple[str, ...]:
    """Copies of structures that are not as they were written are set aside and written again.

    What was done, a line each; a campaign begun by an older engine has nothing to compare with.
    """
    told = []
    for name, text in json.loads(ledger.meta(INPUTS) or "{}").items():
        path = folder / INPUTS / name
        if path.is_file() and path.read_bytes() == text.encode():
            continue
        moved = move_aside(path) if path.exists() else None
        write_text(path, text)
        told.append(f"{path} was not as written; moved to {moved} and written again")
    return tuple(told)


def check_not_emptied(folder: Path, ledger: Ledger) -> None:
    """A ledger that knows nothing, in a folder with work in it, is not that of a new campaign."""
    if is_created(ledger) or ledger.generations() or ledger.stages():
        return
    found = [*sorted((folder / GENERATIONS_FOLDER).glob("*.h5")), *(folder / "work").glob("*")]
    if found:
        raise TornFile(
            f"{ledger.path} is empty (or its journal {ledger.path.name}-wal was cut), but this "
            f"campaign has done work, e.g. {found[0]}",
            path=ledger.path,
            hint="restore it from a copy; without one, begin a new campaign with `label_bank: "
            f"{(folder / 'labels').absolute()}`: what was labelled costs nothing there",
        )


def lost_labels(ledger: Ledger, bank: LabelBank) -> int:
    """Labels that were paid for and are in the bank no more. TornFile where that is all of them."""
    counted = {row.key for row in ledger.evaluations() if row.outcome is Outcome.GOOD}
    lost = counted - bank.keys(good=None)
    if counted and lost == counted:
        raise TornFile(
            f"{bank.path} has none of the {len(counted)} labels that this campaign paid for "
            f"(or its journal {bank.path.name}-wal was cut)",
            path=bank.path,
            hint="restore it from a copy, or move the folder back to where it was",
        )
    return len(lost)


def parts_of(folder: Path, ledger: Ledger) -> Parts:
    """Parts of the configuration that was accepted last."""
    text = ledger.meta("config_text")
    if text is None:
        raise ConfigurationError(f"{folder} holds no finished campaign set-up", hint="run it again")
    return assemble(folder / CONFIG_FILE, text, folder / INPUTS, _base(folder, ledger))


def bank_of(folder: Path, parts: Parts, ledger: Ledger, *, read_only: bool = False) -> LabelBank:
    """The campaign's label bank, its own or a shared one."""
    shared = parts.config.label_bank
    place = folder / "labels" if shared is None else parts.path(shared)
    name = ledger.meta("campaign_id") or parts.config.name
    return LabelBank(place, campaign=name, read_only=read_only)


def _base(folder: Path, ledger: Ledger) -> Path:
    """The file that relative paths of the configuration start from."""
    original = ledger.meta("config_file")
    return folder / CONFIG_FILE if original is None else Path(original)


def reopen(folder: Path, ledger: Ledger, config: Path | None, *, half_done: bool) -> Accepted:
    """The accepted configuration, and an edited one judged key by key.

    config: a file given on the command line; ``None``: the folder's ``campaign.yaml``
    half_done: a generation is: what would change it waits for the next one, what changes no
        result does not
    Raises ConfigurationError naming the keys that only a fork may change.
    """
    old = parts_of(folder, ledger)
    source = folder / CONFIG_FILE if config is None else config
    text = read_text(source)
    changes = changes_between(old.config, read_campaign_text(text, source))
    if not changes:
        return Accepted(old, old)
    try:
        _refuse_what_needs_a_fork(changes, folder, source)
    except ConfigurationError as error:
        with_line(error, parse_yaml(text, source))
        raise
    base = _base(folder, ledger)
    new = assemble(source, text, folder / INPUTS, base)
    generation = len(ledger.generations())
    if not half_done or not any(change.when is When.NEXT_GENERATION for change in changes):
        return Accepted(new, new, changes, generation)
    now_text = text_for_now(old.config, old.text, text, changes, source)
    now = assemble(source, now_text, folder / INPUTS, base)
    return Accepted(now, new, changes, generation + 1)


def _refuse_what_needs_a_fork(changes: tuple[Change, ...], folder: Path, source: Path) -> None:
    refused = [change for change in changes if change.when is When.FORK]
    if refused:
        raise ConfigurationError(
            "this campaign cannot change " + "; ".join(str(change) for change in refused),
            file=source,
            key=refused[0].key,
            allowed="budgets, execution and approvals now; monitors, sampler, training, admission, "
            "audit, triage and exploration from the next generation",
            hint=f"`sis fork {folder} NEW --set key=value` shares all labels and generations",
        )


def adopt(folder: Path, ledger: Ledger, accepted: Accepted) -> None:
    """Keep an edit that was found valid; what waits for its generation stays in ``campaign.yaml``.

    A campaign that is stopped before then compares its file with what holds, and finds it again.
    """
    if accepted.changes:
        write_text(folder / CONFIG_FILE, accepted.next_parts.text)
        holds_now(ledger, accepted.parts)


def forked_with(ledger: Ledger, changes: Iterable[Change], n_generations: int) -> None:
    """A fork that keeps ``n_generations`` was made with changes: what the last of them decided was
    decided without these. The bank, which a fork shares, decides nothing.
    """
    if whens := {item.when for item in changes if item.key != "label_bank"}:
        when = When.NOW if whens == {When.NOW} else When.NEXT_GENERATION
        ledger.set_meta(_FORKED, json.dumps([n_generations, when.value]))


def fork_changes(ledger: Ledger) -> frozenset[When]:
    """What changes of a fork touch, until its first own generation is committed."""
    n_generations, when = json.loads(ledger.meta(_FORKED) or "[null, null]")
    here = n_generations is not None and n_generations == len(ledger.generations())
    return frozenset({When(when)} if here else ())


def holds_now(ledger: Ledger, parts: Parts) -> None:
    """From now on this configuration holds; ``campaign.yaml`` may have been edited again."""
    ledger.set_meta("config_text", parts.text)
