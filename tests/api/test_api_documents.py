"""Files of manifests: which documents are in them, and the line of every fault."""

import json

import pytest
import yaml
from api_manifests import budget, loadtest

from loadgate.api.budget import PerformanceBudget
from loadgate.api.documents import duplicates, load
from loadgate.api.loadtest import LoadTest

CONFIGMAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "journeys"}, "data": {"a.py": "x"}}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-user"}, "stringData": {"password": "x"}}


def stream(*documents):
    """The documents as one YAML stream."""
    return yaml.safe_dump_all(documents, sort_keys=False)


def only_fault(text):
    """The only fault of the only document."""
    (document,) = load(text, "a.yaml")
    (fault,) = document.faults
    assert document.model is None
    return fault


def test_every_kind_is_read():
    """A stream gives each document as what it is, in order, with its first line."""
    documents = load(stream(loadtest(), budget(), CONFIGMAP, SECRET), "all.yaml")
    assert [document.kind for document in documents] == ["LoadTest", "PerformanceBudget", "ConfigMap", "Secret"]
    assert [document.faults for document in documents] == [[], [], [], []]
    assert isinstance(documents[0].model, LoadTest)
    assert isinstance(documents[1].model, PerformanceBudget)
    assert documents[2].model is None
    assert documents[2].raw == CONFIGMAP
    assert documents[0].line == 1
    assert documents[3].identity == ("Secret", "default", "shop-user")
    assert {document.file for document in documents} == {"all.yaml"}


def test_json_is_read_too():
    """A JSON manifest is a manifest."""
    (document,) = load(json.dumps(loadtest()))
    assert document.faults == []


def test_a_list_is_its_items():
    """`kubectl get -o yaml` gives a List: its items are documents, with the lines where they stand."""
    items = {"apiVersion": "v1", "kind": "List", "items": [loadtest(), {**budget(), "spec": {}}]}
    text = yaml.safe_dump(items, sort_keys=False)
    first, second = load(text, "list.yaml")
    assert first.faults == []
    (fault,) = second.faults
    assert (fault.path, fault.message) == ("spec", "asks for nothing")
    assert text.splitlines()[fault.line - 1].strip() == "spec: {}"


def test_every_fault_has_its_file_line_and_column():
    """A fault points at the key or the item that it is about."""
    text = """\
apiVersion: loadgate.dev/v1alpha1
kind: LoadTest
metadata: {name: a}
spec:
  target:
    url: http://shop
    timout: 3s
  scenarios:
  - name: a
    executor: constant-vus
    steps:
    - request: {url: "/${nobody}"}
    - think: 3
"""
    (document,) = load(text, "a.yaml")
    assert [str(fault).split(": ")[0:2] for fault in document.faults] == [
        ["a.yaml:7:5", "spec.target.timout"],
        ["a.yaml:9:5", "spec.scenarios[0].duration"],
        ["a.yaml:12:17", "spec.scenarios[0].steps[0].request.url"],
        ["a.yaml:13:7", "spec.scenarios[0].steps[1].think"],
    ]
    assert document.locate("spec.scenarios[0].executor") == (10, 5)


@pytest.mark.parametrize(
    ("text", "path", "message", "line"),
    [
        ("", "", "there is no manifest in this file", 1),
        ("# only a comment\n---\n", "", "there is no manifest in this file", 1),
        ("just text", "", "must be an object with apiVersion, kind, metadata and spec", 1),
        ("[1, 2]", "", "must be an object with apiVersion, kind, metadata and spec", 1),
        ("\na: 1", "kind", "is missing", 2),
        ("kind: 5", "kind", "5 is not a kind that loadgate reads", 1),
        ("kind: Deployment", "kind", "'Deployment' is not a kind that loadgate reads", 1),
        ("kind: LoadTest", "apiVersion", "is missing", 1),
        ("kind: LoadTest\napiVersion: v1", "apiVersion", "'v1' has no LoadTest", 2),
        ("kind: List\napiVersion: v1\nitems: 5", "items", "must be a list of objects", 3),
        ("kind: ConfigMap\napiVersion: v1", "metadata.name", "is missing", 1),
        ("kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {a: 5}", "data.a", "must be a text", 4),
        (
            "kind: Secret\napiVersion: v1\nmetadata: {name: a}\nstringData: x",
            "stringData",
            "must be an object of texts",
            4,
        ),
        ("kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {a: b: c}", "", "not YAML", 4),
    ],
)
def test_what_is_no_manifest_is_one_fault(text, path, message, line):
    """A document that can't be read is one fault at its line."""
    fault = only_fault(text)
    assert (fault.path, fault.line, fault.file) == (path, line, "a.yaml")
    assert message in fault.message


def test_a_kind_nearly_right_is_recognised():
    """A misspelt kind is answered with the right one."""
    assert only_fault("kind: Loadtest").hint == "did you mean 'LoadTest'?"


def test_yaml_faults_and_others_come_together():
    """A key that is there twice hides no other fault of the document, and the document gives no model."""
    text = stream(loadtest()).replace("  runners:\n    count: 2", "  runners:\n    count: 0\n    count: 1")
    (document,) = load(text)
    assert [(fault.path, fault.message) for fault in document.faults] == [
        ("spec.runners.count", "this key is there twice"),
        ("spec.runners.count", "must be at least 1"),
    ]
    assert document.model is None


def test_a_broken_stream_keeps_its_first_documents():
    """What comes before a syntax error is still read."""
    first, second = load(stream(loadtest()) + "---\na: [\n")
    assert first.faults == []
    assert "not YAML" in second.faults[0].message
    assert second.kind == ""


def test_an_object_described_twice_is_a_fault():
    """Two documents of one kind, namespace and name are a fault at the second, which names the first."""
    documents = load(stream(loadtest(), budget(), CONFIGMAP, loadtest()), "a.yaml")
    (fault,) = duplicates(documents)
    assert fault.message == "LoadTest default/checkout is described twice"
    assert fault.hint == "first in a.yaml, line 1"
    assert fault.line == documents[3].locate("metadata.name")[0]


def test_same_names_in_other_namespaces_or_kinds_are_fine():
    """A name is taken only within its kind and namespace; what has no name takes none."""
    elsewhere = {**CONFIGMAP, "metadata": {"name": "journeys", "namespace": "other"}}
    nameless = {"apiVersion": "v1", "kind": "Secret", "metadata": "?"}
    documents = load(stream(CONFIGMAP, elsewhere, {**SECRET, "metadata": {"name": "journeys"}}, nameless, nameless))
    assert duplicates(documents) == []
