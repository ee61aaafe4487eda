"""Reading `/metrics` as a scraper does."""

from collections.abc import Iterable
from dataclasses import dataclass

import httpx2
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain
from prometheus_client.samples import Sample

METRICS_TOKEN = "scraper-Q7wT3nB9vK5xR1mZ8cF4hJ6pL2dS0gYa-tests"
SCRAPER = {"Authorization": f"Bearer {METRICS_TOKEN}"}
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


@dataclass(frozen=True)
class Scraped:
    """What one scrape has shown."""

    families: dict[str, Metric]
    samples: list[Sample]
    plain: str

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of a name that have these labels."""
        return sum(sample.value for sample in self.having(name, **labels))

    def having(self, name: str, **labels: str) -> list[Sample]:
        return [one for one in self.samples if one.name == name and labels.items() <= one.labels.items()]


def scrape(url: str) -> Scraped:
    """Scrape a service, both ways."""
    with httpx2.Client(base_url=url, headers=SCRAPER, timeout=20) as client:
        plain = client.get("/metrics")
        assert plain.status_code == 200
        assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
        list(parse_plain(plain.text))
        answer = client.get("/metrics", headers={"Accept": OPENMETRICS})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    families: Iterable[Metric] = list(parse_openmetrics(answer.text))  # type: ignore[no-untyped-call]
    return Scraped(
        {one.name: one for one in families}, [sample for one in families for sample in one.samples], plain.text
    )
