"""``grokscope verify``: check files against their checksums."""

from __future__ import annotations

from collections import Counter

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.errors import StoreError


def verify(path: options.ResultPath, json: options.Json = False) -> None:
    """Check the files of all runs in a folder against checksums.

    The exit code is 1 if anything is damaged or missing.
    """
    with out.json_only(json):
        if options.holding(path) == "run" or not path.is_dir():
            from grokscope.runs import verify as verify_run

            problems, many = verify_run(path), ""
        else:
            from dataclasses import replace

            from grokscope.sweeps import verify_results

            checked = verify_results(path)
            problems = [
                replace(problem, file="/".join(filter(None, (one.path, problem.file))))
                for one in checked
                for problem in one.problems
            ]
            counts = Counter(one.state for one in checked)
            states = [f"{counts[state]} {state}" for state in ("damaged", "unfinished") if counts[state]]
            many = ", ".join([f"{len(checked)} runs: {counts['intact']} intact", *states])
        damage = [problem for problem in problems if problem.is_damage]
        if json:
            out.document({"run": path, "ok": not damage, "runs": many or "1 run", "problems": problems})
        for problem in [] if json else problems:
            out.line(str(problem))
        if many and not json:
            out.line(f"{path}: {many}")
        if damage:
            raise StoreError(f"{path}: damaged ({len(damage)} found).")
        if not json and not problems:
            out.line(f"{path}: all files match their checksums")
