"""M6: pages of the winner list that the edge keeps, against those that it has to ask for."""

import json
from dataclasses import dataclass, field, replace

from services.common.postgres import load_queries
from tests.bench.figures import Figure, Step, alternate, spread
from tests.bench.pools import BooksError
from tests.bench.scale import Scale
from tests.bench.servers import Bench
from tests.bench.whole.cost import Cost, compared
from tests.bench.whole.jobs import WholeJob
from tests.bench.whole.stack import MeasuredActivity, whole_stack

queries = load_queries(__file__)
GOAL = 5.0
_IN_FLIGHT = 64
_EDGE_KEEPS = 64  # answers in each worker, see kept.lua


@dataclass
class _Reader:
    """Reads so many pages in turn."""

    activity: MeasuredActivity
    expected: list[str]
    job: WholeJob
    cost: Cost = field(default_factory=Cost)

    async def read(self) -> float:
        """Pages a second; each of them was what is recorded."""
        tally = await self.cost.of(self.activity, self.job)
        file = self.activity.folder / f"pages-{self.job.name}.json"
        found: dict[str, list[str]] = json.loads(file.read_text("utf-8"))
        for page, draw_ids in found.items():
            first = (int(page) - 1) * self.job.page_size
            if self.expected[first : first + self.job.page_size] != draw_ids:
                raise BooksError(f"page {page} of the winner list is not what is recorded")
        return tally.calls_per_s


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """The figure; a step for each window."""
    whole = await whole_stack(bench, scale.players)
    wins = scale.list_pages * scale.page_size
    activity = await whole.open_activity([(wins, 1.0)])
    await activity.draw(WholeJob("json", "", "", "", calls=wins, in_flight=_IN_FLIGHT))
    postgres = whole.system.stores.postgres
    expected = [
        row["draw_id"] async for row in queries.winners(postgres, activity_id=activity.activity_id)
    ]
    assert scale.list_pages > _EDGE_KEEPS, "the edge would keep all pages"
    pages = scale.list_pages
    job = WholeJob(
        "list",
        "",
        "kept",
        "",
        in_flight=_IN_FLIGHT,
        seconds=scale.whole_s,
        page_size=scale.page_size,
    )
    kept = _Reader(activity, expected, job)
    asked = _Reader(activity, expected, replace(job, name="asked", pages=pages))
    rates = await alternate(scale.rounds, kept.read, asked.read, step, "M6")
    return [
        Figure(
            "M6",
            "page of winners through the edge",
            f"{spread(rates.a)} pages/s",
            f"{pages} pages in turn, of which the edge keeps none: {spread(rates.b)} pages/s",
            rates.ratio,
            f"≥ {GOAL:.0f}",
            rates.ratio >= GOAL,
            (f"kept: {kept.cost}", f"not kept: {asked.cost}", compared(kept.cost, asked.cost)),
        )
    ]
