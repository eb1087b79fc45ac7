"""``grokscope papers``: list the papers that can be reproduced."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from grokscope.cli import options
from grokscope.cli import output as out

_WIDTH = 100


def papers(
    verdicts: Annotated[
        bool, typer.Option("--verdicts", help="The papers' verdicts, as the documentation shows them.")
    ] = False,
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """List the papers that can be reproduced, their claims and cost.

    For each experiment: its claims, and its time on this machine at full size, or that it needs a GPU.
    With --verdicts: how the claims were judged when the documentation was made, and which fail; nothing is
    run.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        if verdicts:
            _verdicts(json)
            return
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


def _verdicts(json: bool) -> None:
    from grokscope.papers.literature import literature

    checked = literature()
    if json:
        out.document(
            [
                {
                    "name": one.paper.kind,
                    "title": one.paper.title,
                    "arxiv": one.paper.arxiv,
                    **one.facts,
                    "failing": [{**failing.entry, "reason": failing.reason} for failing in one.failing],
                }
                for one in checked
            ]
        )
        return
    rows = [
        (
            one.paper.kind,
            *(one.facts.get(name, "-") for name in ("claims", "settings", "seeds", "time", "date")),
        )
        for one in checked
    ]
    out.table(("paper", "claims", "settings", "seeds", "time", "date"), rows)
    for one in checked:
        if one.failing:
            out.line(f"\n{one.paper.title}: claims that fail")
        for failing in one.failing:
            reason = failing.reason or "The reason is open."
            out.line(_wrapped(f"{failing.entry['id']}: {failing.entry['sentence']} {reason}"))
    out.line("\nCommands")
    for command in (command for one in checked for command in one.commands):
        out.line(_wrapped(command))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
