"""The list of metrics, its page, and the rules and the dashboard that go by it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobplatform.metrics import names
from jobplatform.metrics.names import METRICS, Kind

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"]
BOARD = json.loads((ROOT / "deploy" / "grafana.json").read_text())
#: Names in an expression, each with the labels that it is chosen by.
_NAMED = re.compile(r"(jobplatform_[a-z_]+)(?:\{([^}]*)\})?")
_PARTS = ("_bucket", "_sum", "_count")


def expressions() -> Iterator[str]:
    for group in RULES:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in BOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (each["query"]["query"] for each in BOARD["templating"]["list"] if each["type"] == "query")


def metric_of(name: str) -> names.Metric | None:
    base = next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)
    found = METRICS.get(name) or METRICS.get(base)
    return found if found is None or (found.kind is Kind.HISTOGRAM) == (found.name != name) else None


def test_rules_and_dashboard_name_metrics_and_labels_that_are_there() -> None:
    named = [match for text in expressions() for match in _NAMED.findall(text)]
    assert len(named) > 60
    for name, chosen in named:
        metric = metric_of(name)
        assert metric is not None, name
        assert set(re.findall(r"(\w+)\s*=", chosen)) <= set(metric.labels), (name, chosen)


def test_what_rules_sum_by_is_a_label_of_something_in_them() -> None:
    for text in expressions():
        labels = {label for name, _ in _NAMED.findall(text) if (m := metric_of(name)) for label in (*m.labels, "le")}
        for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", text):
            assert {name.strip() for name in group.split(",")} <= labels, text


def test_every_rule_says_what_it_means() -> None:
    rules: list[dict[str, Any]] = [rule for group in RULES for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_the_page_is_that_of_the_code() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == names.page()


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_names_follow_the_conventions_of_prometheus(metric: names.Metric) -> None:
    assert re.fullmatch(r"jobplatform_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.meaning.endswith(".")
    assert not set(metric.labels) & {"job", "instance", "le"}, "Prometheus sets these itself"
