"""What services say of themselves, made by what makes it in them."""

from collections.abc import Callable, Sequence

from sarvanom.observability.exposition import Exposition
from sarvanom.observability.metrics import Metrics
from sarvanom.observability.rendering import render


def exposed(service: str, happen: Callable[[], object] = lambda: None, workers: Sequence[int] = (0,)) -> str:
    """Return the text of a service of these workers, after something has happened in each of them."""
    payloads = []
    for worker in workers:
        metrics = Metrics(service)
        metrics.listen()
        happen()
        exposition = Exposition(metrics, service, "1.0", worker)
        payloads.append(exposition.read())
        metrics.stop()
    payloads.append(exposition.unreachable(0))
    return render(payloads, "")[1].decode()
