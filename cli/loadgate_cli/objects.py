"""Objects printed as `kubectl get -o json` and `-o yaml` print them."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import yaml

FORMATS = ("text", "json", "yaml")


def dump(value: Any, form: str) -> str:
    """Text of a JSON value, as `json` or `yaml`, with a newline at the end."""
    if form == "json":
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def listed(objects: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """One object as it is, several as a List."""
    if len(objects) == 1:
        return objects[0]
    return {"apiVersion": "v1", "kind": "List", "items": list(objects), "metadata": {}}


class _Dumper(yaml.SafeDumper):
    """Without anchors: what stands at two places is written twice, as Kubernetes does."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


_Dumper.add_multi_representer(str, lambda dumper, text: dumper.represent_str(str(text)))
