"""``grokscope papers``: list the papers that can be reproduced."""

from __future__ import annotations

from grokscope.cli import options
from grokscope.cli import output as out


def papers(plugin: options.Plugin = None, json: options.Json = False) -> None:
    """List the papers that can be reproduced, their claims and cost.

    For each experiment: its claims, and its time on this machine at full size, or that it needs a GPU.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope.cli.doctor import expected_times
        from grokscope.papers import papers as all_papers
        from grokscope.progress import duration
        from grokscope.training.rates import measure_rates

        expected = expected_times(measure_rates(1.0))
        times = {(item.paper, item.experiment): item.seconds for item in expected}
        if json:
            out.document(
                [
                    {
                        "name": name,
                        "title": paper.title,
                        "arxiv": paper.arxiv,
                        "experiments": [one.name for one in paper.experiments],
                        "claims": [claim.id for claim in paper.claims],
                        "cost": {one.name: times[name, one.name] for one in paper.experiments},
                    }
                    for name, paper in all_papers().items()
                ]
            )
            return
        for name, paper in all_papers().items():
            arxiv = f"; arXiv {paper.arxiv}" if paper.arxiv else ""
            out.line(f"{name}: {paper.title} ({paper.authors}, {paper.year}{arxiv})")
            rows: list[tuple[str, str, str, str]] = []
            for one in paper.experiments:
                seconds = times[name, one.name]
                cost = "needs a GPU" if seconds is None else f"about {duration(seconds)}"
                claims = ", ".join(claim.id for claim in paper.claims if claim.experiment == one.name)
                rows.append((one.name, claims, cost, one.sentence))
            out.table(("experiment", "claims", "on this machine", "what it is"), rows)
