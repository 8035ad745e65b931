"""A container's environment, command and files, as the kubelet resolves them."""

import base64
import os
import stat

import psutil
import pytest

from loadgate_operator.cluster.local.environment import expand, field, inherited, resolve
from loadgate_operator.cluster.local.files import NotReadyError, mount_all
from loadgate_operator.cluster.port import Key, Kind

POD = {
    "metadata": {
        "name": "p-0-abcde",
        "namespace": "shop",
        "uid": "u-1",
        "labels": {"a.b/c": "label"},
        "annotations": {"batch.kubernetes.io/job-completion-index": "3"},
    },
    "spec": {"volumes": []},
    "status": {"podIP": "10.0.0.7"},
}
OBJECTS = {
    Key(Kind.SECRET, "shop", "user"): {
        "kind": "Secret",
        "metadata": {"name": "user", "namespace": "shop"},
        "data": {"password": base64.b64encode(b"pw $(NAME)").decode()},
    },
    Key(Kind.CONFIG_MAP, "shop", "journeys"): {
        "kind": "ConfigMap",
        "metadata": {"name": "journeys", "namespace": "shop"},
        "data": {"a.py": "import x", "b.csv": "1,2"},
        "binaryData": {"c.bin": base64.b64encode(b"\x00\xff").decode()},
    },
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$(A)/x-$(B)", "1/x-2"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
    ],
)
def test_references_expand_as_in_kubernetes(text, result):
    """`$(NAME)` is replaced where NAME is known, `$$` is a dollar, and nothing else means anything."""
    assert expand(text, {"A": "1", "B": "2"}) == result


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.uid", "u-1"),
        ("metadata.labels['a.b/c']", "label"),
        ("metadata.annotations['batch.kubernetes.io/job-completion-index']", "3"),
        ("metadata.annotations['none']", ""),
        ("status.podIP", "10.0.0.7"),
        ("spec.nodeName", ""),
    ],
)
def test_the_downward_api_reads_the_pod(path, value):
    """A field path names a field, a label or an annotation; what isn't there is empty."""
    assert field(POD, path) == value


@pytest.mark.parametrize(
    ("resources", "resource", "value"),
    [
        ({"limits": {"cpu": "1500m"}}, "limits.cpu", "2"),
        ({"limits": {"memory": "64Mi"}}, "limits.memory", str(64 << 20)),
        ({"requests": {"cpu": "100m"}, "limits": {"cpu": "3"}}, "requests.cpu", "1"),
        ({"limits": {"cpu": "3"}}, "requests.cpu", "3"),
        ({}, "requests.memory", "0"),
        ({}, "limits.cpu", str(os.cpu_count())),
        ({}, "limits.memory", str(psutil.virtual_memory().total)),
    ],
)
def test_amounts_are_those_of_the_container(resources, resource, value):
    """Cores are rounded up, memory is in bytes, a limit that isn't set is the machine's, a request that isn't the limit."""
    source = {"resourceFieldRef": {"resource": resource}}
    container = {"resources": resources, "env": [variable("A", valueFrom=source)]}
    assert resolve(POD, container, OBJECTS.get) == {"A": value}


def variable(name, **source):
    return {"name": name, **source}


def test_variables_come_from_where_they_say():
    """Literals may refer to earlier variables; what comes from elsewhere is taken as it is."""
    container = {
        "env": [
            variable("NAME", value="shop"),
            variable("PASSWORD", valueFrom={"secretKeyRef": {"name": "user", "key": "password"}}),
            variable("URL", value="http://$(NAME)/$(LATER)"),
            variable("UID_", valueFrom={"fieldRef": {"fieldPath": "metadata.uid"}}),
            variable("CODE", valueFrom={"configMapKeyRef": {"name": "journeys", "key": "a.py"}}),
            variable("NONE", valueFrom={"secretKeyRef": {"name": "no", "key": "no", "optional": True}}),
        ]
    }
    assert resolve(POD, container, OBJECTS.get) == {
        "NAME": "shop",
        "PASSWORD": "pw $(NAME)",
        "URL": "http://shop/$(LATER)",
        "UID_": "u-1",
        "CODE": "import x",
    }


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"secretKeyRef": {"name": "nobody", "key": "k"}}, 'secret "nobody" not found'),
        ({"secretKeyRef": {"name": "user", "key": "k"}}, "couldn't find key k in Secret shop/user"),
        ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
    ],
)
def test_a_missing_source_is_named(source, words):
    """The message says which object or key a container waits for."""
    with pytest.raises(NotReadyError, match=words):
        resolve(POD, {"env": [variable("X", valueFrom=source)]}, OBJECTS.get)


def test_a_pod_gets_little_of_our_environment(monkeypatch):
    """Credentials in a person's environment don't reach journeys; what a process needs to run does."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("PATH", "/bin")
    assert "AWS_SECRET_ACCESS_KEY" not in inherited()
    assert inherited()["PATH"] == "/bin"


def mounted(tmp_path, volumes, mounts):
    pod = {**POD, "spec": {"volumes": volumes}}
    parts = [dict(zip(("name", "mountPath", "subPath"), mount, strict=False)) for mount in mounts]
    container = {"volumeMounts": parts}
    return mount_all(tmp_path, pod, container, OBJECTS.get)


def test_a_config_map_is_a_folder_of_files(tmp_path):
    """Each key is a file of its contents, binary ones too, readable by us alone."""
    mounts = mounted(
        tmp_path, [{"name": "v", "configMap": {"name": "journeys"}}], [("v", "/etc/loadgate/files/journeys")]
    )
    folder = tmp_path / "etc/loadgate/files/journeys"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "a.py": b"import x",
        "b.csv": b"1,2",
        "c.bin": b"\x00\xff",
    }
    assert stat.S_IMODE((folder / "a.py").stat().st_mode) == 0o600
    assert mounts.translate("/etc/loadgate/files/journeys/a.py") == str(folder / "a.py")


def test_chosen_keys_get_chosen_names(tmp_path):
    """`items` picks keys and names their files."""
    source = {"name": "journeys", "items": [{"key": "a.py", "path": "main.py"}]}
    mounted(tmp_path, [{"name": "v", "configMap": source}], [("v", "/etc/loadgate/x")])
    assert [path.name for path in (tmp_path / "etc/loadgate/x").iterdir()] == ["main.py"]


def test_a_part_of_a_volume_can_be_mounted(tmp_path):
    """`subPath` mounts one file, which is then at the mount's own path, or what is in one folder."""
    items = [{"key": "a.py", "path": "code/a.py"}, {"key": "b.csv", "path": "rows/deep/b.csv"}]
    volumes = [{"name": "v", "configMap": {"name": "journeys", "items": items}}]
    mounts = mounted(tmp_path, volumes, [("v", "/var/a.py", "code/a.py"), ("v", "/var/rows", "rows")])
    assert (tmp_path / "var/a.py").read_bytes() == b"import x"
    assert (tmp_path / "var/rows/deep/b.csv").read_bytes() == b"1,2"
    assert mounts.translate("/var/a.py") == str(tmp_path / "var/a.py")


def test_an_empty_folder_is_the_same_wherever_it_is_mounted(tmp_path):
    """What is written in one mount of an emptyDir is read in another; a mount within another one works."""
    volumes = [
        {"name": "v", "emptyDir": {}},
        {"name": "w", "emptyDir": {}},
        {"name": "c", "configMap": {"name": "journeys"}},
    ]
    mounts = mounted(
        tmp_path, volumes, [("c", "/tmp/c"), ("v", "/one"), ("v", "/two"), ("v", "/three", "part"), ("w", "/tmp")]
    )
    (tmp_path / "one" / "x").write_text("y")
    (tmp_path / "three" / "z").write_text("y")
    assert (tmp_path / "two" / "x").read_text() == "y"
    assert (tmp_path / "two" / "part" / "z").read_text() == "y"
    assert (tmp_path / "tmp" / "c" / "a.py").read_bytes() == b"import x"
    assert mounts.translate("/tmp/c/a.py") == str(tmp_path / "tmp/c/a.py")


def test_a_key_that_is_optional_may_be_missing(tmp_path):
    """An optional volume has the files that there are."""
    items = [{"key": "a.py", "path": "a"}, {"key": "none", "path": "b"}]
    volumes = [{"name": "v", "configMap": {"name": "journeys", "items": items, "optional": True}}]
    mounted(tmp_path, volumes, [("v", "/etc/x")])
    assert [path.name for path in (tmp_path / "etc/x").iterdir()] == ["a"]


def test_paths_translate_only_where_something_is_mounted(tmp_path):
    """Mounted folders and the folders around them are ours; neighbours that only begin alike are not."""
    volumes = [{"name": "v", "emptyDir": {}}]
    mounts = mounted(tmp_path, volumes, [("v", "/etc/loadgate/plan"), ("v", "/tmp")])
    here = str(tmp_path)
    table = {
        "/etc/loadgate/plan": f"{here}/etc/loadgate/plan",
        "/etc/loadgate/files": f"{here}/etc/loadgate/files",
        "/etc/loadgate/planets": f"{here}/etc/loadgate/planets",
        "/etc/ssl/cert.pem": "/etc/ssl/cert.pem",
        "/tmp/x": f"{here}/tmp/x",
        "/tmpfiles": "/tmpfiles",
        "--plan": "--plan",
    }
    assert {path: mounts.translate(path) for path in table} == table


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"configMap": {"name": "journeys", "items": [{"key": "z", "path": "z"}]}}, "couldn't find key z"),
    ],
)
def test_a_missing_volume_is_named(tmp_path, source, words):
    """A pod whose volume isn't there waits and says for what."""
    with pytest.raises(NotReadyError, match=words):
        mounted(tmp_path, [{"name": "v", **source}], [("v", "/etc/loadgate/x")])


def test_an_optional_volume_may_be_missing(tmp_path):
    """What is optional is an empty folder where it isn't there."""
    mounted(tmp_path, [{"name": "v", "configMap": {"name": "none", "optional": True}}], [("v", "/etc/loadgate/x")])
    assert list((tmp_path / "etc/loadgate/x").iterdir()) == []
