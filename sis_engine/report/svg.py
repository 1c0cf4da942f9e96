"""A small drawing board: panels of curves, points, bars and bands as inline SVG.

Colours are CSS classes (``c1`` … ``c8``, ``ink``, ``warn``), so that one drawing reads on light,
dark and paper; shapes and dashes repeat what colours say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from sis_engine.report.marks import coordinate, label, shape_of, swatch, tag, tip_of
from sis_engine.report.scale import Axis

LEFT, RIGHT, TOP, BOTTOM = 52.0, 10.0, 24.0, 38.0
SHAPES = ("circle", "square", "triangle", "diamond")


def colour(index: int) -> str:
    """CSS class of the ``index``-th series; eight, then round again."""
    return f"c{index % 8 + 1}"


class Panel:
    """One set of axes. Marks are drawn in the order of the calls, clipped to the data area."""

    def __init__(
        self,
        title: str,
        x: Axis,
        y: Axis,
        *,
        width: float = 360.0,
        height: float = 230.0,
        left: float = LEFT,
    ) -> None:
        self.title = title
        self.x, self.y = x, y
        self.width, self.height, self.left = width, height, left
        self.inner_width = width - left - RIGHT
        self.inner_height = height - TOP - BOTTOM
        self._marks: list[str] = []
        self._above: list[str] = []
        self._legend: list[tuple[str, str, str]] = []

    # ------------------------------------------------------------------ coordinates

    def px(self, value: float) -> float:
        return self.x.fraction(value) * self.inner_width

    def py(self, value: float) -> float:
        return (1.0 - self.y.fraction(value)) * self.inner_height

    # ------------------------------------------------------------------ marks

    def curve(self, xs: Sequence[float], ys: Sequence[float], css: str, *, tip: str = "") -> None:
        """A line; a NaN breaks it."""
        steps: list[str] = []
        pen_down = False
        for x, y in zip(xs, ys, strict=True):
            if math.isnan(x) or math.isnan(y):
                pen_down = False
                continue
            steps.append(
                f"{'L' if pen_down else 'M'}{coordinate(self.px(x))} {coordinate(self.py(y))}"
            )
            pen_down = True
        if steps:
            self._marks.append(tag("path", tip_of(tip), class_=f"line {css}", d="".join(steps)))

    def stairs(self, xs: Sequence[float], ys: Sequence[float], css: str, *, tip: str = "") -> None:
        """A step curve: ``ys[i]`` holds from ``xs[i]`` to ``xs[i+1]``."""
        across: list[float] = []
        up: list[float] = []
        for index, (x, y) in enumerate(zip(xs, ys, strict=True)):
            if index:
                across.append(x)
                up.append(up[-1])
            across.append(x)
            up.append(y)
        self.curve(across, up, css, tip=tip)

    def band(
        self,
        xs: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        css: str,
    ) -> None:
        """The area between two curves."""
        path = [
            f"{coordinate(self.px(x))},{coordinate(self.py(y))}"
            for x, y in [
                *zip(xs, high, strict=True),
                *zip(reversed(xs), reversed(low), strict=True),
            ]
        ]
        self._marks.append(tag("polygon", class_=f"area {css}", points=" ".join(path)))

    def strip(self, low: float, high: float, css: str, *, tip: str = "") -> None:
        """A horizontal band over the whole width."""
        top, bottom = self.py(high), self.py(low)
        self._marks.append(
            tag(
                "rect",
                tip_of(tip),
                class_=f"area {css}",
                x=0.0,
                y=top,
                width=self.inner_width,
                height=max(bottom - top, 0.5),
            )
        )

    def level(self, value: float, css: str, text: str = "", *, below: bool = False) -> None:
        """A horizontal line, with its name at the right end."""
        y = self.py(value)
        if not -1.0 <= y <= self.inner_height + 1.0:
            return
        self._marks.append(
            tag("line", class_=f"rule {css}", x1=0.0, x2=self.inner_width, y1=y, y2=y)
        )
        if text:
            self.note(self.inner_width - 3.0, y + (12.0 if below else -4.0), text, "end")

    def upright(self, value: float, css: str, *, tip: str = "") -> None:
        """A vertical line."""
        x = self.px(value)
        self._marks.append(
            tag("line", tip_of(tip), class_=f"rule {css}", x1=x, x2=x, y1=0.0, y2=self.inner_height)
        )

    def whisker(self, x: float, low: float, high: float, css: str) -> None:
        """A vertical interval."""
        across = self.px(x)
        self._marks.append(
            tag(
                "line",
                class_=f"whisker {css}",
                x1=across,
                x2=across,
                y1=self.py(low),
                y2=self.py(high),
            )
        )

    def dot(
        self,
        x: float,
        y: float,
        css: str,
        *,
        shape: str = "circle",
        hollow: bool = False,
        tip: str = "",
        size: float = 4.0,
    ) -> None:
        """One mark, at the edge when it lies outside."""
        across = min(max(self.px(x), 0.0), self.inner_width)
        up = min(max(self.py(y), 0.0), self.inner_height)
        css = f"{'ring' if hollow else 'dot'} {css}"
        self._above.append(shape_of(shape, across, up, size, css, tip))

    def bar(
        self,
        at: float,
        half: float,
        low: float,
        high: float,
        css: str,
        tip: str = "",
        *,
        lying: bool = False,
    ) -> None:
        """A bar around ``at`` (data units) from ``low`` to ``high``, upright or lying."""
        left, right = (self.px(x) for x in ((low, high) if lying else (at - half, at + half)))
        top, bottom = (self.py(y) for y in ((at + half, at - half) if lying else (high, low)))
        self._marks.append(
            tag(
                "rect",
                tip_of(tip),
                class_=f"bar {css}",
                x=left,
                y=top,
                width=max(right - left, 0.5),
                height=max(bottom - top, 0.0),
            )
        )

    def note(self, x: float, y: float, text: str, anchor: str = "start") -> None:
        """Small text at pixel (x, y) of the data area."""
        self._above.append(tag("text", escape(text), class_="note", x=x, y=y, text_anchor=anchor))

    def legend(self, text: str, css: str, kind: str = "line") -> None:
        """An entry of the legend; kind: line, area, or a shape (hollow with prefix ``-``)."""
        self._legend.append((text, css, kind))

    # ------------------------------------------------------------------ the whole

    def svg(self) -> str:
        rows = self._legend_rows()
        height = self.height + 16.0 * len(rows)
        body = [
            tag("title", escape(self.title)),
            tag("text", escape(self.title), class_="panel-title", x=0.0, y=13.0),
            self._axes(),
            tag(
                "svg",
                "".join(self._marks),
                x=self.left,
                y=TOP,
                width=self.inner_width,
                height=self.inner_height,
                overflow="hidden",
            )
            if self._marks
            else "",
            tag("g", "".join(self._above), transform=f"translate({coordinate(self.left)} {TOP:g})")
            if self._above
            else "",
            *self._legend_marks(rows),
        ]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="panel" role="img" '
            f'viewBox="0 0 {coordinate(self.width)} {coordinate(height)}" '
            f'width="{coordinate(self.width)}" height="{coordinate(height)}" '
            f'aria-label="{escape(self.title, quote=True)}">{"".join(body)}</svg>'
        )

    def _axes(self) -> str:
        parts: list[str] = []
        right, bottom = self.left + self.inner_width, TOP + self.inner_height
        for value, text in self.y.tick_marks():
            y = TOP + self.py(value)
            parts.append(tag("line", class_="grid", x1=self.left, x2=right, y1=y, y2=y))
            parts.append(label(text, self.left - 5.0, y + 3.8, "end"))
        for value, text in self.x.tick_marks():
            x = self.left + self.px(value)
            parts.append(tag("line", class_="tick", x1=x, x2=x, y1=bottom, y2=bottom + 4.0))
            parts.append(label(text, x, bottom + 16.0, "middle"))
        parts.append(tag("line", class_="axis", x1=self.left, x2=right, y1=bottom, y2=bottom))
        parts.append(
            tag(
                "text",
                escape(self.x.label),
                class_="axis-title",
                x=self.left + self.inner_width / 2.0,
                y=bottom + 31.0,
                text_anchor="middle",
            )
        )
        middle = TOP + self.inner_height / 2.0
        parts.append(
            tag(
                "text",
                escape(self.y.label),
                class_="axis-title",
                text_anchor="middle",
                transform=f"translate(11 {coordinate(middle)}) rotate(-90)",
            )
        )
        return "".join(parts)

    def _legend_rows(self) -> list[list[tuple[float, tuple[str, str, str]]]]:
        """Entries with their x, broken into rows by an estimate of the text's width."""
        rows: list[list[tuple[float, tuple[str, str, str]]]] = []
        x = math.inf
        for entry in self._legend:
            width = 26.0 + 6.0 * len(entry[0])
            if x + width > self.width:
                rows.append([])
                x = self.left - 40.0 if self.left > 40.0 else 4.0
            rows[-1].append((x, entry))
            x += width + 8.0
        return rows

    def _legend_marks(
        self, rows: Sequence[Sequence[tuple[float, tuple[str, str, str]]]]
    ) -> list[str]:
        parts = []
        for number, row in enumerate(rows):
            y = self.height + 9.0 + 16.0 * number
            for x, (text, css, kind) in row:
                parts.append(swatch(x, y - 3.5, css, kind))
                parts.append(label(text, x + 22.0, y, "start"))
        return parts
