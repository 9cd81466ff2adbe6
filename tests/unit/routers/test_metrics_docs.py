"""docs/metrics.md lists every series with its labels and help text, as the code defines them.

``python -m tests.unit.routers.test_metrics_docs`` updates the page.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from prometheus_client.core import Metric

from app.routers.metrics import families
from app.state import WaitPolicy
from app.telemetry.measures import Measures
from tests.api.registry import new_registry

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
BEGIN, END = "<!-- metrics -->\n", "<!-- end of metrics -->"


def name_of(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def rows() -> Iterator[str]:
    state = new_registry(WaitPolicy(redirect_seconds=20, redirects=3, hold_seconds=900)).state
    yield "| series | type | labels | meaning |"
    yield "|---|---|---|---|"
    histograms = ((next(iter(one.collect())), one) for one in Measures().histograms)
    for metric, labelled in chain(((one, one) for one in families(state, {})), histograms):
        names = vars(labelled)["_labelnames"]  # the library does not return them
        labels = ", ".join(f"`{name}`" for name in names)
        yield f"| `{name_of(metric)}` | {metric.type} | {labels} | {metric.documentation} |"
    yield "| `process_*` | | | CPU, memory and open files of the process |\n"


def table() -> str:
    return "\n".join(rows())


def test_the_page_has_every_series() -> None:
    assert PAGE.read_text().partition(BEGIN)[2].partition(END)[0] == table()


if __name__ == "__main__":
    start, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{start}{BEGIN}{table()}{END}{rest.partition(END)[2]}")
