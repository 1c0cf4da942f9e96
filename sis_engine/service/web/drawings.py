"""Figures and dying frames of the committed generations: worked out once a commit."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable

from sis_engine.bookkeeping.live import read_live
from sis_engine.commands.status import facts_of, open_ledger
from sis_engine.report.accuracy import accuracy_figure
from sis_engine.report.blocks import Figure
from sis_engine.report.cost import cost_figure
from sis_engine.report.jsonable import jsonable
from sis_engine.report.live_figure import live_figure
from sis_engine.report.lives import lives_figure, survival_figure
from sis_engine.report.scenes import scenes
from sis_engine.report.traces import trace_figures
from sis_engine.service.places import Places
from sis_engine.storage.generation import CHEAP_FIELDS, GenerationStore

FIGURE_FIELDS = CHEAP_FIELDS | {"challengers", "outcomes", "test_outcomes", "suspects"}
TRACE_FIELDS = FIGURE_FIELDS | {"explorations", "plans"}
LATEST = 3
"""Generations whose MD and dying frames are shown; the report has all."""
MOST_KEPT = 24
"""Answers kept ready, over all campaigns."""


class Drawings:
    """Makes JSON texts and keeps the last few; one is made at a time, whoever asks."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._kept: OrderedDict[tuple[str, str, str], str] = OrderedDict()
        self._lock = threading.Lock()

    def figures(self, name: str, version: str) -> str:
        """All figures of a campaign, as a JSON list; the live one is first and made anew."""
        live = live_figure(read_live(self._places.campaign(name)))
        committed = self._once(("figures", name, version), lambda: self._figures(name))
        rest = committed[1:-1]
        return f"[{json.dumps(jsonable(live), ensure_ascii=False)}{',' if rest else ''}{rest}]"

    def scenes(self, name: str, version: str) -> str:
        """The dying frames of the latest generations, as a JSON list."""
        return self._once(("scenes", name, version), lambda: self._scenes(name))

    def _once(self, key: tuple[str, str, str], make: Callable[[], str]) -> str:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def _figures(self, name: str) -> str:
        folder = self._places.campaign(name)
        with open_ledger(folder) as ledger:
            store = GenerationStore(folder, ledger)
            rows = store.committed()
            older, latest = rows[:-LATEST], rows[-LATEST:]
            records = tuple(
                [store.load(row, only=FIGURE_FIELDS) for row in older]
                + [store.load(row, only=TRACE_FIELDS) for row in latest]
            )
            facts = facts_of(folder, ledger, records)
        drawn: tuple[Figure, ...] = (
            lives_figure(records),
            survival_figure(records[-LATEST:]),
            accuracy_figure(records),
            cost_figure(records, facts),
            *reversed(trace_figures(records[-LATEST:], facts.windows)),
        )
        return json.dumps(jsonable(drawn), ensure_ascii=False, allow_nan=False)

    def _scenes(self, name: str) -> str:
        folder = self._places.campaign(name)
        with open_ledger(folder) as ledger:
            store = GenerationStore(folder, ledger)
            latest = store.committed()[-LATEST:]
            records = [store.load(row, only=TRACE_FIELDS) for row in latest]
        return json.dumps(jsonable(scenes(records)), ensure_ascii=False, allow_nan=False)
