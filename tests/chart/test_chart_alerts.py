"""The alerts, judged by Prometheus' own tool."""

from pathlib import Path

import pytest
import yaml
from chart_kit import CHART, NAMESPACE, one, program, run

pytestmark = pytest.mark.processes

CASES = Path(__file__).with_name("alerts.test.yaml")
RULES = CHART / "files" / "alerts.yaml"


@pytest.fixture
def rules(tmp_path):
    """The alerts as they are installed into NAMESPACE."""
    path = tmp_path / "alerts.yaml"
    path.write_text(RULES.read_text().replace("@NAMESPACE@", NAMESPACE))
    return path


def test_promtool_takes_the_alerts(rules):
    """`promtool check rules` finds nothing wrong, and nothing to frown at."""
    done = run(program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", rules)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_else_do_not(rules, tmp_path):
    """`promtool test rules` agrees with every case of alerts.test.yaml."""
    cases = tmp_path / "cases.yaml"
    cases.write_text(yaml.safe_dump({"rule_files": [rules.name], **yaml.safe_load(CASES.read_text())}))
    done = run(program("promtool"), "test", "rules", cases)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_case():
    """No alert is untested: each fires at least once in alerts.test.yaml."""
    alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts


@pytest.mark.timeout(600)
def test_the_rendered_rule_is_the_file(helm, tmp_path):
    """What the chart installs are these alerts, unchanged, and promtool takes them too."""
    spec = one(helm.objects("--set", "prometheusRule.enabled=true"), "PrometheusRule")["spec"]
    assert spec == yaml.safe_load(RULES.read_text().replace("@NAMESPACE@", NAMESPACE))
    path = tmp_path / "rendered.yaml"
    path.write_text(yaml.safe_dump(spec))
    assert run(program("promtool"), "check", "rules", path).returncode == 0
