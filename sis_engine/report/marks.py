"""The smallest pieces of a drawing: elements, coordinates, shapes, labels."""

from __future__ import annotations

from html import escape


def coordinate(value: float) -> str:
    """A pixel coordinate with one decimal, as short as it goes."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def tag(name: str, body: str = "", **attributes: str | float) -> str:
    """One element; attribute names: ``class_`` is class, ``stroke_width`` is stroke-width."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{body}</{name}>" if body else f"<{name}{written}/>"


def _attribute(value: str | float) -> str:
    return escape(value, quote=True) if isinstance(value, str) else coordinate(value)


def label(text: str, x: float, y: float, anchor: str) -> str:
    return tag("text", escape(text), class_="tick-text", x=x, y=y, text_anchor=anchor)


def tip_of(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""


def swatch(x: float, y: float, css: str, kind: str) -> str:
    if kind == "line":
        return tag("path", class_=f"line {css}", d=f"M{coordinate(x)} {coordinate(y)}h17")
    if kind == "area":
        return tag("rect", class_=f"bar {css}", x=x, y=y - 5.0, width=17.0, height=10.0)
    style = f"{'ring' if kind.startswith('-') else 'dot'} {css}"
    return shape_of(kind.removeprefix("-"), x + 8.5, y, 4.0, style, "")


def shape_of(shape: str, x: float, y: float, size: float, css: str, tip: str) -> str:
    body = tip_of(tip)
    if shape == "circle":
        return tag("circle", body, class_=css, cx=x, cy=y, r=size)
    corners = {
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "triangle": ((0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)),
        "down": ((0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)),
        "diamond": ((0.0, -1.3), (1.1, 0.0), (0.0, 1.3), (-1.1, 0.0)),
        "cross": (
            (-1.2, -0.9),
            (-0.9, -1.2),
            (0.0, -0.3),
            (0.9, -1.2),
            (1.2, -0.9),
            (0.3, 0.0),
            (1.2, 0.9),
            (0.9, 1.2),
            (0.0, 0.3),
            (-0.9, 1.2),
            (-1.2, 0.9),
            (-0.3, 0.0),
        ),
    }[shape]
    points = " ".join(f"{coordinate(x + size * a)},{coordinate(y + size * b)}" for a, b in corners)
    return tag("polygon", body, class_=css, points=points)
