#!/usr/bin/env python3
"""Reports of runs in a browser: what is drawn, what fits, what is filtered, and that completions stay text.

    report_page.py --screenshots DIR [--chromium /usr/bin/chromium --driver /usr/bin/chromedriver] REPORT.html...

Each page is opened at 390 and at 1280 px, light and dark. The page of the fixture `crates/report/tests/data/small` has
completions that would take over a page that let them.
"""

import argparse
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--hide-scrollbars"]

# For each chart: whether all that it draws is inside of it, and whether a path of data has more than one point.
CHARTS = """
return [...document.querySelectorAll("svg")].map(svg => {
  const frame = svg.viewBox.baseVal, wrong = [];
  for (const part of svg.querySelectorAll("path, circle, text")) {
    const to = svg.getScreenCTM().inverse().multiply(part.getScreenCTM()), box = part.getBBox();
    for (const [x, y] of [[box.x, box.y], [box.x + box.width, box.y + box.height]]) {
      const point = new DOMPoint(x, y).matrixTransform(to);
      if (!(point.x > -2 && point.y > -2 && point.x < frame.width + 2 && point.y < frame.height + 2)) wrong.push(part.outerHTML.slice(0, 200));
    }
  }
  const lines = [...svg.querySelectorAll("path.data")].filter(path => path.getTotalLength() > 0 && (path.getAttribute("d").match(/[LM]/g) || []).length > 1);
  return {title: svg.querySelector("title").textContent, labelled: svg.getAttribute("aria-labelledby").split(" ").every(id => document.getElementById(id)),
          lines: lines.length, dots: svg.querySelectorAll("circle").length, wrong};
});
"""
WIDE = """
const limit = document.documentElement.clientWidth;
return document.documentElement.scrollWidth > limit
  ? [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > limit + 1).map(e => e.outerHTML.slice(0, 120)).slice(0, 5)
  : [];
"""


def check_filter(driver, page: Path) -> int:
    if not driver.find_elements(By.ID, "filter"):
        return 0
    samples = lambda: driver.execute_script("return [...document.querySelectorAll('.sample')].map(e => [e.dataset.step, e.dataset.verdict, e.checkVisibility()])")
    everything = samples()
    assert all(seen for *_, seen in everything), page
    for place, name in enumerate(("step", "verdict")):
        choice = Select(driver.find_element(By.NAME, name))
        for value in [option.get_attribute("value") for option in choice.options if option.get_attribute("value")]:
            choice.select_by_value(value)
            seen = [sample for sample in samples() if sample[2]]
            assert seen and len(seen) == sum(sample[place] == value for sample in everything), (page, name, value)
            assert all(sample[place] == value for sample in seen), (page, name, value)
        choice.select_by_value("")
    return len(everything)


def check(driver, page: Path, screenshots: Path) -> None:
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            driver.get(page.resolve().as_uri())
            charts = driver.execute_script(CHARTS)
            for chart in charts:
                assert chart["lines"] or chart["dots"], (page, chart)
                assert chart["labelled"] and not chart["wrong"], (page, width, chart)
            assert not (wide := driver.execute_script(WIDE)), (page, width, wide)
            samples = check_filter(driver, page) if scheme == "light" else None
            driver.execute_script("scrollTo(0, 0)")
            driver.execute_script("for (const part of [...document.querySelectorAll('.sample')].slice(0, 2)) part.open = true")
            assert not driver.execute_script(WIDE), (page, width, "with open samples")
            assert "owned" not in driver.title and not driver.find_elements(By.CSS_SELECTOR, "img"), page
            height = min(driver.execute_script("return document.documentElement.scrollHeight"), 4500)
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
            driver.save_screenshot(str(screenshots / f"{page.stem}-{width}-{scheme}.png"))
            logs = [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
            assert not logs, (page, logs)
            if samples is not None:
                print(f"{page.name} at {width} px: {len(charts)} charts, {samples} samples")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--screenshots", type=Path, required=True)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--driver", default="/usr/bin/chromedriver")
    parser.add_argument("pages", type=Path, nargs="+")
    args = parser.parse_args()
    args.screenshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = args.chromium
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in [*FLAGS, f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(args.driver))
        try:
            for page in args.pages:
                check(driver, page, args.screenshots)
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
