"""Take the pictures of report.md, of pages that are there.

    grokscope reproduce two-circuits standard --seeds 100:108 --out demo
    grokscope sweep parity.toml --over ... --out demo-sweep
    python docs/make_screenshots.py demo demo-sweep

Needs `pip install grokscope[browser]` and Chromium. The pictures are reduced to a palette, to be small.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).parent / "images"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
]
_COLORS = 240
_STILL = "document.querySelector('.bar').style.position = 'static'"
_PLAYING = """(() => {
  const slider = document.querySelector("input[type=range]");
  slider.value = Math.round(slider.max * 0.75);
  slider.dispatchEvent(new Event("input", { bubbles: true }));
})()"""


def main() -> None:
    """Take all pictures."""
    if len(sys.argv) != 3:
        sys.exit("usage: python docs/make_screenshots.py REPRODUCTION SWEEP")
    reproduction, sweep = (Path(folder) / "report.html" for folder in sys.argv[1:])
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        take(browser, reproduction, "report-top")
        take(browser, reproduction, "report-curves", part="#curves")
        take(browser, reproduction, "report-neurons", part="#competition", before=_PLAYING, dark=True)
        take(
            browser, reproduction, "report-phone", width=380, part="#competition", before=_PLAYING, height=900
        )
        take(browser, sweep, "report-sweep", part="#sweep")
        browser.close()


def take(
    browser: Any,
    page: Path,
    name: str,
    *,
    width: int = 1180,
    height: int = 0,
    part: str = "",
    before: str = "",
    dark: bool = False,
) -> None:
    """Take one picture: of the window, or of a part of the page.

    Args:
        browser: Chromium.
        page: a report.
        name: of the picture.
        width: of the window.
        height: of the picture, at most; 0 takes all of the part.
        part: a selector; the window if not given.
        before: what to do first.
        dark: whether the system is dark.
    """
    scheme = "dark" if dark else "light"
    tab = browser.new_page(viewport={"width": width, "height": 860}, color_scheme=scheme)
    tab.goto(page.resolve().as_uri())
    tab.wait_for_selector("html[data-ready]", state="attached")
    for script in filter(None, (_STILL, before)):
        tab.evaluate(script)
    tab.wait_for_timeout(500)
    data = tab.locator(part).screenshot() if part else tab.screenshot()
    tab.close()
    save(data, IMAGES / f"{name}.png", height)


def save(data: bytes, file: Path, height: int) -> None:
    """Write a picture with few colors."""
    from PIL import Image

    picture = Image.open(io.BytesIO(data)).convert("RGB")
    if height:
        picture = picture.crop((0, 0, picture.width, min(height, picture.height)))
    few = picture.quantize(_COLORS, kmeans=2, dither=Image.Dither.NONE)  # means, else rare colors are lost
    few.save(file, optimize=True)
    print(f"{file}: {file.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
