"""Walking through the steps of a journey, nested ones included, in the order of the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadgate.api.paths import Path
    from loadgate.api.steps import Step


def walk(steps: Iterable[Step]) -> Iterator[tuple[Path, Step]]:
    """Every step, with its path below the list that is given."""
    for index, step in enumerate(steps):
        yield (index,), step
        for place, nested in _inside(step):
            for path, inner in walk(nested):
                yield (index, *place, *path), inner


def _inside(step: Step) -> Iterator[tuple[Path, list[Step]]]:
    for name, block in (("group", step.group), ("repeat", step.repeat), ("while", step.while_)):
        if block:
            yield (name, "steps"), block.steps
    if step.if_:
        yield ("if", "then"), step.if_.then
        yield ("if", "else"), step.if_.else_ or []
    for index, branch in enumerate(step.choice or []):
        yield ("choice", index, "steps"), branch.steps
