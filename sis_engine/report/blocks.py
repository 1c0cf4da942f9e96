"""What a page is made of: figures, tables and words, before any HTML."""

from __future__ import annotations

from dataclasses import dataclass

MOST_ROWS_IN_FULL = 60


@dataclass(frozen=True)
class Figure:
    """Panels (inline SVG) under one caption.

    caption: what is seen, and the n;  note: shown in place of panels when there are none
    layout: "grid" (panels flow), "pairs" (two beside each other) or "wide" (one)
    """

    id: str
    title: str
    caption: str
    panels: tuple[str, ...] = ()
    note: str = ""
    layout: str = "grid"


@dataclass(frozen=True)
class Column:
    """A column's heading, and whether it holds numbers (set to the right)."""

    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of text. Cells hold :data:`sis_engine.numerals.NOTHING` where data is missing.

    newest_first: rows of the last generation come first
    """

    id: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    newest_first: bool = False

    @property
    def is_tall(self) -> bool:
        """More than a reader wants to pass by: it is shown in a box, which says so."""
        return len(self.rows) > MOST_ROWS_IN_FULL


def columns(*names: str) -> tuple[Column, ...]:
    """Columns from names; a leading ``#`` marks a numeric one."""
    return tuple(Column(name.removeprefix("#"), name.startswith("#")) for name in names)
