"""The operator's command line and log."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from loadgate.plan import Targets
from loadgate_operator.flags import Flags, parse
from loadgate_operator.logs import JsonLines


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, {"namespaces": (), "listen": ("0.0.0.0", 8080), "leader_election": False}),
        (["--namespace", "a", "--namespace", "b", "--namespace", "a"], {}, {"namespaces": ("a", "b")}),
        ([], {"LOADGATE_NAMESPACE": "a, b"}, {"namespaces": ("a", "b")}),
        (["--namespace", "c"], {"LOADGATE_NAMESPACE": "a,b"}, {"namespaces": ("c",)}),
        (["--listen", "[::1]:9"], {}, {"listen": ("::1", 9)}),
        ([], {"LOADGATE_LISTEN": "127.0.0.1:7", "LOADGATE_LOG_FORMAT": "json"}, {"listen": ("127.0.0.1", 7)}),
        ([], {"LOADGATE_LEADER_ELECTION": "true"}, {"leader_election": True}),
        (["--no-leader-election"], {"LOADGATE_LEADER_ELECTION": "true"}, {"leader_election": False}),
        ([], {"LOADGATE_RUNNER_IMAGE": "r:1"}, {"runner_image": "r:1"}),
        (
            ["--allowed-target", "*.shop", "--allowed-target", "10.0.0.0/8"],
            {},
            {"targets": Targets(["*.shop", "10.0.0.0/8"])},
        ),
        ([], {"LOADGATE_ALLOWED_TARGET": "shop, ::1"}, {"targets": Targets(["shop", "::1"])}),
    ],
)
def test_flags_go_before_the_environment(
    arguments: list[str], environment: dict[str, str], expected: dict[str, object]
) -> None:
    """Each flag has a variable, a repeated flag is a list, and what is given goes before what surrounds it."""
    flags: Flags = parse(arguments, environment)
    assert {name: getattr(flags, name) for name in expected} == expected


@pytest.mark.parametrize("listen", ["8080", "x:y", "127.0.0.1:70000"])
def test_a_wrong_address_is_a_usage_error(listen: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said what is wrong, and the exit code is 2."""
    with pytest.raises(SystemExit) as exit_:
        parse(["--listen", listen], {})
    assert exit_.value.code == 2
    assert "not an address" in capsys.readouterr().err


def test_a_json_log_is_an_object_a_line() -> None:
    """Also where the message or the trace has several lines."""
    try:
        int("a\nb")
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "", 0, "x %s\ny", ("1",), sys.exc_info())
    line = JsonLines().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == ("error", "n", "x 1\ny")
    assert "ValueError" in told["exception"]


@pytest.mark.processes
def test_wrong_defaults_of_runners_are_all_told(tmp_path: Path) -> None:
    """An operator whose defaults have faults ends with 1 and every one of them, with line and path."""
    defaults = tmp_path / "runners.yaml"
    defaults.write_text("nodeSelector: {pool: true}\nenv:\n- {name: LOADGATE_TOKEN, value: x}\n", encoding="utf-8")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("loadgate-operator"))],
        env={"LOADGATE_RUNNER_DEFAULTS": str(defaults), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"{defaults}:1:16: nodeSelector.pool: must be a text" in done.stderr
    assert f"{defaults}:3:4: env[0].name: LOADGATE_TOKEN is set by loadgate itself" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--version"], 0, ""),
        (["--listen", "nowhere"], 2, "not an address"),
        ([], 1, "no way to an API server"),
        (["--allowed-target", "10.1.2.3/8"], 2, "write 10.0.0.0/8"),
        (["--runner-defaults", "nowhere.yaml"], 1, "--runner-defaults can't be read"),
        (["--runner-defaults", "/dev/zero"], 1, "--runner-defaults can't be used"),
    ],
)
def test_the_program_ends_with_a_word(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    """What can't work ends at once, with one line that says why and no trace."""
    program = Path(sys.executable).with_name("loadgate-operator")
    environment = {"KUBECONFIG": str(tmp_path / "none"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [str(program), *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
