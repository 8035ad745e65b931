"""The building blocks of the HTML report: sections with headings, and tables that scroll by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.report.markup import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def part(name: str, title: str, *children: Markup | None, hint: str | None = None) -> Markup:
    """A section with a heading that it is labelled by."""
    heading = tag("h2", title, id=f"h-{name}")
    said = tag("p", hint, class_="hint") if hint else None
    return tag("section", heading, said, *children, class_="part", id=name, aria_labelledby=f"h-{name}")


def grouped(number: str) -> str:
    """Thousands set apart by a thin space that doesn't break: 48 210."""
    return f"{int(number):,}".replace(",", "\u202f") if number.isdigit() else number


def data_table(headings: Sequence[str], cells: Iterable[Sequence[str]], *, numbers: set[int] | None = None) -> Markup:
    """A plain table; `numbers` are the columns set to the right, all but the first unless it is given."""
    right = set(range(1, len(headings))) if numbers is None else numbers
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(_cell(text, number=at in right) for at, text in enumerate(row[1:], 1)),
        )
        for row in cells
    ]
    made = tag("table", heads(headings, numbers=right), tag("tbody", *body))
    return scroll(made, headings[0])


def _cell(text: str, *, number: bool) -> Markup:
    return tag("td", text, class_="number" if number else "name")


def heads(headings: Sequence[str], *, numbers: set[int]) -> Markup:
    """A table's head."""
    cells = [
        tag("th", heading, scope="col", class_="number" if column in numbers else None)
        for column, heading in enumerate(headings)
    ]
    return tag("thead", tag("tr", *cells))


def scroll(content: Markup, label: str) -> Markup:
    """A wide table scrolls by itself, and with the keyboard too."""
    return tag("div", content, class_="scroll", tabindex=0, role="group", aria_label=label)
