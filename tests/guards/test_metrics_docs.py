"""Every metric is documented with its type and labels, and nothing else is; every observation is listened to."""

import re
from pathlib import Path
from typing import Any

from sarvanom.observability.exposition import BUILD, PROCESS, UNREACHABLE, Exposition
from sarvanom.observability.metrics import Metrics
from sarvanom.observability.siblings import Place
from sarvanom.observability.traces import Traces
from sarvanom.shared.observations import kinds
from tests.guards.test_docs import rows

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
PRESENT = {"gateway": Metrics("gateway"), "crud": Metrics("crud")}


def families() -> dict[str, Any]:
    return {
        name: family for metrics in PRESENT.values() for name, family in zip(metrics.names, metrics.all, strict=True)
    }


def documented() -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in rows("metrics.md")}


def test_every_metric_is_documented_and_nothing_else() -> None:
    assert set(documented()) == {*families(), *PROCESS, BUILD, UNREACHABLE}


def test_types_and_labels_are_as_documented() -> None:
    for name, family in families().items():
        type, labels, _ = documented()[name]
        assert (type, re.findall(r"`(\w+)`", labels)) == (family.type, list(family.label_names)), name


def test_what_the_process_itself_says_is_documented() -> None:
    told = Exposition(PRESENT["crud"], "crud", "1", Place().worker).read()
    names = {f"{name}_total" if type == "counter" else name for name, type, *_ in told}
    assert set(PROCESS) <= names
    assert names <= set(documented())


def test_names_are_as_prometheus_wants_them() -> None:
    for name, family in families().items():
        assert re.fullmatch(r"sarvanom_[a-z0-9]+(_[a-z0-9]+)*", name)
        assert name.endswith("_total") == (family.type == "counter")
        assert not name.endswith(("_count", "_sum", "_bucket", "_created"))
        assert not re.search(r"_(ms|milliseconds|us|kb|mib)(_|$)", name)
        assert family.meaning
        assert family.meaning == family.meaning.strip()
        assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in family.label_names)
        assert not {"worker", "job", "le"} & set(family.label_names)


def test_buckets_are_as_documented() -> None:
    text = DOCS.read_text().replace("\n", " ")
    found = re.search(r"Buckets of durations are ([0-9., and]+?)\. ", text)
    assert found is not None
    from sarvanom.observability.cells import SECONDS

    assert [float(number) for number in re.findall(r"[0-9.]*[0-9]", found[1])] == list(SECONDS)


def test_every_observation_has_a_listener() -> None:
    traces = Traces("http://127.0.0.1:9", "crud", "1", "crud-0")
    try:
        traces.listen()
        for metrics in PRESENT.values():
            metrics.listen()
        unheard = [kind.__name__ for kind in kinds() if not kind.listeners]
    finally:
        traces.close()
        for metrics in PRESENT.values():
            metrics.stop()
    assert unheard == []
    assert [kind.__name__ for kind in kinds() if kind.listeners] == []
