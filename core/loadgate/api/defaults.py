"""What an installation says of all runners' pods: one YAML document in the words of `spec.runners`."""

import dataclasses

from .faults import Fault, InvalidSpec
from .paths import format_path, parse_path
from .pods import PodTemplate
from .validate import validate_pods
from .yamltree import Tree, read


def load_pods(text: str, file: str = "") -> PodTemplate:
    """The pods that a file describes, which may be empty; InvalidSpec carries every fault with its line."""
    trees = read(text)
    if not trees:
        return PodTemplate()
    if len(trees) > 1:
        place = trees[1].place
        raise InvalidSpec([Fault("", "there is more than one document", "", file, place.line, place.column)])
    (tree,) = trees
    faults = [
        Fault(format_path(wrong.path), wrong.message, wrong.hint, file, wrong.place.line, wrong.place.column)
        for wrong in tree.wrongs
    ]
    try:
        pods = _validated(tree)
    except InvalidSpec as error:
        faults += [] if tree.value is None else [_placed(fault, tree, file) for fault in error.faults]
    if faults:
        raise InvalidSpec(faults)
    return pods


def _validated(tree: Tree) -> PodTemplate:
    if not isinstance(tree.value, dict):
        raise InvalidSpec([Fault("", "must be an object with the fields of spec.runners")])
    return validate_pods(tree.value)


def _placed(fault: Fault, tree: Tree, file: str) -> Fault:
    place = tree.locate(parse_path(fault.path))
    return dataclasses.replace(fault, file=file, line=place.line, column=place.column)
