"""The store behaves as an API server does."""

import asyncio
import base64

import pytest

from loadgate_operator.cluster.local.store import Store
from loadgate_operator.cluster.port import ConflictError, Key, Kind, RefusedError


def make_store():
    return Store(clock=lambda: 1_800_000_000.0)


def config(name="one", **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, **more}


def load_test(name="checkout", labels=None, **spec):
    metadata = {"name": name, "namespace": "default", "labels": labels or {}}
    return {"apiVersion": "loadgate.dev/v1alpha1", "kind": "LoadTest", "metadata": metadata, "spec": spec}


def owned_by(obj, owner):
    reference = {"apiVersion": "v1", "kind": owner["kind"], "name": owner["metadata"]["name"]}
    obj["metadata"]["ownerReferences"] = [{**reference, "uid": owner["metadata"]["uid"]}]
    return obj


def pending(watch):
    """All keys that a watch holds now."""
    return list(watch._pending)


def test_a_new_object_gets_what_the_cluster_sets():
    """Applying an object for the first time gives it a uid, a version, a time and, having a spec, generation 1."""
    made = make_store().apply(load_test(count=1))
    metadata = made["metadata"]
    assert metadata["uid"]
    assert metadata["resourceVersion"] == "1"
    assert metadata["creationTimestamp"] == "2027-01-15T08:00:00Z"
    assert metadata["generation"] == 1


def test_a_volume_that_only_a_cluster_has_is_refused_by_name():
    """A Job with a PersistentVolumeClaim isn't taken, and it is said which volumes there are."""
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "rows", "persistentVolumeClaim": {"claimName": "x"}}]
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"template": {"spec": {"volumes": volumes}}},
    }
    with pytest.raises(RefusedError, match=r"volume rows is a persistentVolumeClaim.*configMap, secret, emptyDir"):
        make_store().apply(job)


def test_a_new_load_test_has_not_been_observed():
    """The status default of the CRD holds here too, so that no status reads as current."""
    assert make_store().apply(load_test())["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize(
    ("change", "grows"),
    [
        ({"spec": {"count": 2}}, 1),
        ({"spec": {"count": 1}}, 0),
        ({"metadata": {"name": "checkout", "annotations": {"a": "b"}}}, 0),
        ({"metadata": {"name": "checkout", "labels": {"a": "b"}}}, 0),
    ],
)
def test_the_generation_grows_with_the_spec_alone(change, grows):
    """Labels, annotations and repetition leave the generation as it is."""
    store = make_store()
    store.apply(load_test(count=1))
    after = store.apply({**load_test(count=1), **change})
    assert after["metadata"]["generation"] == 1 + grows


def test_a_written_status_stays_through_an_apply():
    """Who applies a spec doesn't take the status away, nor can they set one."""
    store = make_store()
    key = Key(Kind.LOAD_TEST, "default", "checkout")
    store.apply(load_test(count=1))
    store.write_status(key, {"phase": "Running"})
    store.apply({**load_test(count=2), "status": {"phase": "Passed"}})
    assert store.read(key)["status"] == {"phase": "Running"}


def test_a_status_write_is_no_new_generation():
    """A status says how the spec fares; it is no new spec."""
    store = make_store()
    key = Key(Kind.LOAD_TEST, "default", "checkout")
    store.apply(load_test(count=1))
    store.write_status(key, {"phase": "Running"})
    assert store.read(key)["metadata"]["generation"] == 1


def test_what_is_read_is_a_copy():
    """Changing an object that was read changes nothing in the store."""
    store = make_store()
    store.apply(config(data={"a": "1"}))
    key = Key(Kind.CONFIG_MAP, "default", "one")
    store.read(key)["data"]["a"] = "2"
    store.list(Kind.CONFIG_MAP, "default")[0]["data"]["a"] = "2"
    assert store.read(key)["data"] == {"a": "1"}


def test_a_list_selects_by_namespace_and_labels():
    """All labels must match; the namespace "" is every one."""
    store = make_store()
    store.apply(load_test("a", labels={"app": "shop", "tier": "1"}))
    store.apply(load_test("b", labels={"app": "shop"}))
    other = load_test("c", labels={"app": "shop"})
    other["metadata"]["namespace"] = "elsewhere"
    store.apply(other)

    def names(*args):
        return [obj["metadata"]["name"] for obj in store.list(Kind.LOAD_TEST, *args)]

    assert names("default", {"app": "shop"}) == ["a", "b"]
    assert names("default", {"app": "shop", "tier": "1"}) == ["a"]
    assert names("", {"app": "shop"}) == ["a", "b", "c"]
    assert names("default") == ["a", "b"]


def test_deletion_cascades_to_what_is_owned_and_no_further():
    """An owner takes with it what it owns, and what that owns; others stay."""
    store = make_store()
    test = store.apply(load_test())
    middle = store.apply(owned_by(config("middle"), test))
    store.apply(owned_by(config("leaf"), middle))
    store.apply(config("other"))
    store.delete(Key(Kind.LOAD_TEST, "default", "checkout"))
    assert [obj["metadata"]["name"] for obj in store.list(Kind.CONFIG_MAP, "")] == ["other"]


def test_an_object_of_a_gone_owner_does_not_stay():
    """What is applied too late, for an owner that is gone, is collected at once."""
    store = make_store()
    test = store.apply(load_test())
    store.delete(Key(Kind.LOAD_TEST, "default", "checkout"))
    store.apply(owned_by(config(), test))
    assert store.list(Kind.CONFIG_MAP, "") == []


def test_a_deletion_by_uid_spares_a_successor():
    """A delete that means an object of another uid does nothing."""
    store = make_store()
    store.apply(config())
    store.delete(Key(Kind.CONFIG_MAP, "default", "one"), uid="of-an-earlier-one")
    assert len(store.list(Kind.CONFIG_MAP, "")) == 1


def test_an_apply_that_means_another_object_is_a_conflict():
    """A uid in what is applied must be that of what is there."""
    store = make_store()
    first = store.apply(config(data={"a": "1"}))
    store.apply({**first, "data": {"a": "2"}})
    store.delete(Key(Kind.CONFIG_MAP, "default", "one"))
    with pytest.raises(ConflictError):
        store.apply(first)
    store.apply(config())
    with pytest.raises(ConflictError):
        store.apply(first)


def test_a_living_pod_is_marked_and_not_removed():
    """Deleting a pod that runs leaves it there, marked, until its process is gone; a finished one goes at once."""
    store = make_store()
    key = Key(Kind.POD, "default", "p")
    store.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": {}})
    store.delete(key)
    assert "deletionTimestamp" in store.read(key)["metadata"]
    store.write_status(key, {"phase": "Succeeded"})
    store.delete(key)
    assert store.read(key) is None


def test_secret_strings_are_kept_encoded():
    """`stringData` is a convenience of writing: what is kept and read is base64."""
    store = make_store()
    secret = {**config("s", stringData={"password": "pä"}), "kind": "Secret"}
    kept = store.apply(secret)
    assert "stringData" not in kept
    assert base64.b64decode(kept["data"]["password"]).decode() == "pä"


def test_a_watch_begins_with_all_and_tells_each_change_once():
    """Changes of one key that nobody took yet are one; what changes nothing tells nothing."""
    store = make_store()
    store.apply(config("a", data={"x": "1"}))
    with store.watching() as watch:
        assert [key.name for key in pending(watch)] == ["a"]
        for value in "234":
            store.apply(config("a", data={"x": value}))
        store.apply(config("b"))
        assert [key.name for key in pending(watch)] == ["a", "b"]


def test_what_changes_nothing_wakes_nobody():
    """The same apply and the same status again are silent, so that a reconciler doesn't wake itself for ever."""
    store = make_store()
    key = Key(Kind.LOAD_TEST, "default", "checkout")
    store.apply(load_test(count=1))
    store.write_status(key, {"phase": "Running"})
    before = store.read(key)
    store.apply(load_test(count=1))
    store.write_status(key, {"phase": "Running"})
    assert store.read(key) == before


async def test_a_watch_waits_for_news():
    """Taking from an empty watch ends when something changes."""
    store = make_store()
    with store.watching() as watch:
        taking = asyncio.create_task(watch.take())
        await asyncio.sleep(0)
        assert not taking.done()
        store.apply(config("late"))
        assert (await taking).name == "late"


def test_a_deletion_is_told():
    """The key of what is gone comes through the watch."""
    store = make_store()
    store.apply(config("a"))
    with store.watching() as watch:
        asyncio.run(watch.take())
        store.delete(Key(Kind.CONFIG_MAP, "default", "a"))
        assert pending(watch) == [Key(Kind.CONFIG_MAP, "default", "a")]


@pytest.mark.parametrize(
    "obj",
    [
        {"apiVersion": "v1", "kind": "ConfigMap"},
        {"apiVersion": "v1", "kind": "Deployment", "metadata": {"name": "a"}},
        {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "a"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Not A Name"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "../b"}},
        config(data={"../../etc/passwd": "x"}),
        config(data={"a/b": "x"}),
        config(data={"..": "x"}),
        config(data={"a": 1}),
        config(binaryData={"a": "not base64"}),
        config(data={"a": "x" * ((1 << 20) + 1)}),
        {**config(data={"a": "not base64!"}), "kind": "Secret"},
    ],
)
def test_what_an_api_server_refuses_is_refused(obj):
    """Malformed, unknown, oversized or ill-named objects don't get in."""
    with pytest.raises(RefusedError):
        make_store().apply(obj)


def test_what_is_immutable_stays():
    """An immutable ConfigMap's data and a Job's template don't change; the rest of a Job may."""
    store = make_store()
    store.apply(config(data={"a": "1"}, immutable=True))
    with pytest.raises(RefusedError):
        store.apply(config(data={"a": "2"}, immutable=True))
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"template": {}, "completions": 1},
    }
    store.apply(job)
    store.apply({**job, "spec": {**job["spec"], "ttlSecondsAfterFinished": 5}})
    with pytest.raises(RefusedError):
        store.apply({**job, "spec": {"template": {"x": 1}, "completions": 1}})
