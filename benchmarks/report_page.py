"""The page of a run in a browser: its size, when it can be used, and frames a second of playing and sliding.

Goals: below 8 MB; usable within 2 seconds; 30 frames a second with 1,000 neurons and about 60 snapshots.

    python benchmarks/report_page.py                          # of a standard run, trained first: a minute
    python benchmarks/report_page.py --page demo/report.html  # of a page that is there

Needs `pip install grokscope[browser]` and Chromium, which runs without a window and without a GPU.

- ready: from asking for the file to the end of the page's own script, in a new browser window each time;
- play: from the first to the last snapshot with the play button: frames that the browser drew, over the
  seconds between the first and the last of them;
- slide: the slider moved by one snapshot in every frame, to the end and back, in the same way. Neurons,
  circuit and weights are drawn anew at each;
- work: processor time of the page's main thread for a frame of each; others on the machine hardly change it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import _machine
import _ours
from _result import Machine, ReportPage, today, write

GOAL_BYTES, GOAL_SECONDS, GOAL_FRAMES = 8_000_000, 2.0, 30.0
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
]
SLIDE = """() => new Promise((done) => {
  const slider = document.querySelector("input[type=range]");
  const last = Number(slider.max);
  const times = [];
  const step = (now) => {
    times.push(now);
    const k = times.length - 1;
    if (k > 2 * last) return done([(1000 * (times.length - 1)) / (times.at(-1) - times[0]), times.length]);
    slider.value = k <= last ? k : 2 * last - k;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""
PLAY = """() => new Promise((done) => {
  const slider = document.querySelector("input[type=range]");
  slider.value = 0;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  const button = document.querySelector(".play");
  const times = [];
  const look = (now) => {
    times.push(now);
    const ended = button.getAttribute("aria-label") === "play";
    if (ended) return done([(1000 * (times.length - 1)) / (times.at(-1) - times[0]), times.length]);
    requestAnimationFrame(look);
  };
  requestAnimationFrame(() => {
    button.click();
    requestAnimationFrame(look);
  });
})"""


def standard_page(folder: Path) -> Path:
    """The page of the paper's standard experiment on five seeds."""
    words = ["reproduce", "two-circuits", "standard", "--seeds", "5", "--out", str(folder / "run")]
    subprocess.run([*_ours.COMMAND, *words], check=True, stdout=subprocess.DEVNULL)
    return folder / "run" / "report.html"


class Look(NamedTuple):
    """What was seen in one window."""

    ready: float
    play: float
    slide: float
    play_work: float
    slide_work: float
    neurons: int
    snapshots: int


def look_at(browser: Any, page: Path) -> Look:
    """Open the page in a new window, play and slide."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(page.resolve().as_uri())
    tab.wait_for_selector("html[data-ready]", state="attached")
    ready = float(tab.evaluate("document.documentElement.dataset.ready")) / 1000
    tab.locator("#competition").scroll_into_view_if_needed()
    tab.wait_for_timeout(500)
    devtools = context.new_cdp_session(tab)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
        return 1000 * float(metrics["TaskDuration"])

    seen: list[tuple[float, float]] = []
    for script in (PLAY, SLIDE):
        before = busy()
        frames, count = tab.evaluate(script)
        seen.append((float(frames), (busy() - before) / float(count)))
    (play, play_work), (slide, slide_work) = seen
    neurons, snapshots = tab.evaluate(
        """() => {
          const run = JSON.parse(document.getElementById("page-data").textContent).competition.runs[0];
          return [run.neurons, run.steps.shape[0]];
        }"""
    )
    context.close()
    return Look(ready, play, slide, play_work, slide_work, neurons, snapshots)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("report_page: there is no Chromium here (Debian: apt install chromium).")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = args.page or standard_page(Path(folder))
        machine = Machine.model_validate(_machine.describe())
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        seen = [look_at(browser, page) for _ in range(args.repeats)]
        version = browser.version
        browser.close()
        size = page.stat().st_size
    ready, play, slide, play_work, slide_work = ([float(one[i]) for one in seen] for i in range(5))
    neurons, snapshots = seen[0].neurons, seen[0].snapshots
    result = ReportPage(
        date=today(), machine=machine, browser=f"chromium {version}", neurons=neurons, snapshots=snapshots,
        bytes=size, ready_seconds=ready, play_frames=play, slide_frames=slide,
        play_milliseconds=play_work, slide_milliseconds=slide_work,
        goal_bytes=GOAL_BYTES, goal_seconds=GOAL_SECONDS, goal_frames=GOAL_FRAMES,
    )  # fmt: skip
    print(f"{neurons:,} neurons, {snapshots} snapshots: {size / 1e6:.2f} MB (goal {GOAL_BYTES / 1e6:g})")
    print(f"ready after {statistics.median(ready):.2f} s (goal {GOAL_SECONDS:g})")
    for name, frames, work in (("playing", play, play_work), ("sliding", slide, slide_work)):
        print(
            f"{name}: {statistics.median(frames):.0f} frames a second (goal {GOAL_FRAMES:g}), "
            f"{statistics.median(work):.1f} ms of work each"
        )
    print(f"written: {write(result, 'report-page', args.out).name}")


if __name__ == "__main__":
    main()
