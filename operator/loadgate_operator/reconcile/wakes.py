"""Whom a change concerns: from the key that changed to the LoadTests and budgets that are to be looked at again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate_operator.cluster.port import Key, Kind
from loadgate_operator.manifests import names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadgate_operator.cluster.port import Cluster, Object


class Wakes:
    """Remembers which test an object of ours, or a ConfigMap or Secret of the user's, was seen to belong to.

    Only a hint: a test whose run is under way is looked at every few seconds anyway.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._by_label: dict[tuple[str, str], Key] = {}
        self._labels: dict[Key, str] = {}
        self._inputs: dict[Key, frozenset[Key]] = {}

    def learn(self, test: Key, inputs: Iterable[Key]) -> None:
        """Note what a test takes from its namespace."""
        self._by_label[test.namespace, names.shorten(test.name)] = test
        self._inputs[test] = frozenset(inputs)

    def forget(self, test: Key) -> None:
        """The test is gone."""
        self._inputs.pop(test, None)
        self._by_label.pop((test.namespace, names.shorten(test.name)), None)

    async def of(self, changed: Key) -> list[Key]:
        """The LoadTests and budgets to look at because of a change."""
        if changed.kind is Kind.LOAD_TEST:
            return [changed]
        if changed.kind is Kind.PERFORMANCE_BUDGET:
            tests = await self._cluster.list(Kind.LOAD_TEST, changed.namespace)
            return [changed, *(_key_of(Kind.LOAD_TEST, test) for test in tests)]
        users = [test for test, inputs in self._inputs.items() if changed in inputs]
        owner = await self._owner(changed)
        return [*users, *([owner] if owner else [])]

    async def _owner(self, changed: Key) -> Key | None:
        obj = await self._cluster.read(changed.kind, changed.namespace, changed.name)
        if obj is None:
            label = self._labels.pop(changed, None)
        else:
            label = (obj["metadata"].get("labels") or {}).get(names.TEST_LABEL)
            if label:
                self._labels[changed] = label
        return self._by_label.get((changed.namespace, label)) if label else None


def _key_of(kind: Kind, obj: Object) -> Key:
    return Key(kind, obj["metadata"]["namespace"], obj["metadata"]["name"])
