"""`--secret`."""

from pathlib import Path

import pytest

from loadgate.api.faults import InvalidSpec
from loadgate_cli.credentials import parse_all


def test_value_stands_on_the_line():
    """`name=value` takes everything after the first equals sign."""
    assert parse_all(["password=a=b"], {})["password"].value == "a=b"


def test_value_comes_from_a_file(tmp_path: Path):
    """`name=@file` reads the file, without the newline that editors leave at its end."""
    path = tmp_path / "pw"
    path.write_text("s3cret\n")
    assert parse_all([f"password=@{path}"], {})["password"].value == "s3cret"


def test_value_comes_from_the_environment():
    """A name alone is read from the variable that runners have, too."""
    assert parse_all(["password"], {"LOADGATE_SECRET_password": "x"})["password"].value == "x"


def test_value_never_shows():
    """A credential that is printed by accident doesn't tell its value."""
    assert "hush" not in repr(parse_all(["password=hush"], {}))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("=x", "the name of a secret is missing"),
        ("password", "the environment has no LOADGATE_SECRET_password"),
        ("password=@/does/not/exist", "can't be read: No such file"),
        ("password=@/dev/zero", "holds more than 1 MiB"),
    ],
)
def test_bad_argument_is_explained(argument: str, message: str):
    """What can't be read is a fault of the option."""
    with pytest.raises(InvalidSpec) as caught:
        parse_all([argument], {})
    (fault,) = caught.value.faults
    assert fault.file == "--secret"
    assert message in fault.message


def test_a_file_that_is_no_text_is_told(tmp_path: Path):
    """Secrets are text."""
    path = tmp_path / "pw"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSpec, match="not UTF-8"):
        parse_all([f"password=@{path}"], {})


def test_all_faults_are_told_at_once():
    """Two bad arguments are two faults."""
    with pytest.raises(InvalidSpec) as caught:
        parse_all(["a", "b"], {})
    assert len(caught.value.faults) == 2
