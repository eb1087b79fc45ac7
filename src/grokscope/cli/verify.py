"""``grokscope verify``: check files against their checksums."""

from __future__ import annotations

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.errors import StoreError


def verify(path: options.RunPath, json: options.Json = False) -> None:
    """Check the files of a run or a sweep against checksums.

    The exit code is 1 if anything is damaged or missing.
    """
    with out.json_only(json):
        if options.is_sweep(path):
            from grokscope.sweeps import verify_sweep as check
        else:
            from grokscope.runs import verify as check

        problems = check(path)
        damage = [problem for problem in problems if problem.is_damage]
        if json:
            out.document({"run": path, "ok": not damage, "problems": problems})
        for problem in [] if json else problems:
            out.line(str(problem))
        if damage:
            raise StoreError(f"{path}: damaged ({len(damage)} found).")
        if not json and not problems:
            out.line(f"{path}: all files match their checksums")
