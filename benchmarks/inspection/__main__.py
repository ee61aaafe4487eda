"""Command line: `python -m benchmarks.inspection`."""

import sys
from pathlib import Path

import click

from benchmarks.inspection.corpus import read_corpus, read_honest_texts
from benchmarks.inspection.report import Report
from sarvanom.security.inspection.inspector import Inspector

DEFAULT_CORPUS = Path("../shared/data/inspection-dev.jsonl.gz")
MISSED, NOT_RUN = 1, 2


@click.command()
@click.option(
    "--corpus",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="SARVANOM_INSPECTION_CORPUS",
    default=DEFAULT_CORPUS,
    show_default=True,
    help="Attacks and honest texts, a gzipped line each: kind, group, src, text.",
)
@click.option(
    "--held-back", is_flag=True, help="Also measure the half that is not looked at while patterns are written."
)
def main(corpus: Path, *, held_back: bool) -> None:
    """Measure what inspection detects, what it takes for attacks that is none, and what it costs."""
    if not corpus.exists():
        click.echo(f"There is no corpus at {corpus}; --corpus or SARVANOM_INSPECTION_CORPUS names one", err=True)
        sys.exit(NOT_RUN)
    report = Report(Inspector(), read_corpus(corpus), read_honest_texts(), with_held_back=held_back)
    report.print_all()
    sys.exit(MISSED if report.missed else 0)


if __name__ == "__main__":
    main()
