"""HTML built so that text is escaped unless it is markup already: nothing from a manifest or a target becomes a tag."""

from __future__ import annotations

from html import escape

VOID = frozenset({"meta", "link", "br", "rect", "line", "path", "circle"})
"""Elements that are written without an end tag here."""


class Markup(str):
    """Text that is HTML. Only this module makes it."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """An element. Attributes: `class_` is class, `data_x` is data-x, True is a bare attribute, None and False none."""
    opening = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{opening}>" if name in {"meta", "link", "br"} else f"<{name}{opening}/>")
    return Markup(f"<{name}{opening}>{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Pieces one after another, text escaped, None left out."""
    return Markup("".join(_escaped(child) for child in children if child is not None))


def raw(text: str) -> Markup:
    """Text that is HTML, from this package's own assets only."""
    return Markup(text)


def _attribute(key: str, value: str | float | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(_text(value), quote=True)}"'


def _text(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _escaped(child: str) -> str:
    return child if isinstance(child, Markup) else escape(child, quote=False)
