"""The report and TensorBoard as a browser shows them; screenshots are left in build/screenshots."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.benchmark.commands import run

pytest.importorskip("plotly", reason="plotly is not installed: pip install 'recsim-env[report]'")
webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium is not installed: pip install 'recsim-env[test]'"
)
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
WORLDS = ROOT / "tests" / "worlds.py"
AGENTS = ("tabular_q", "myopic_oracle", "patient_oracle", "random")
WAIT = 60.0  # seconds until a page must have drawn
BROWSER, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no browser on the path: apt-get install chromium chromium-driver"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment in two worlds, with its report."""
    out = tmp_path_factory.mktemp("browser") / "runs"
    file = out.with_name("experiment.yaml")
    agents = "\n".join(f"  {name}:" for name in AGENTS)
    file.write_text(
        f"scenarios:\n  {WORLDS}:TinyWorld:\n  long_term_satisfaction:hard:\n"
        f"agents:\n{agents}\nseeds: 3\nsteps: 5_120\nusers: 60\n",
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, "bench", str(file), "--workers", "1", "--out", str(out)) == 0
        assert run(patch, "report", str(out)) == 0
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window, which keeps what its console said."""
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(word)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield made
    made.quit()


def until(found: Callable[[], Any]) -> Any:
    """What `found` gives as soon as it is true."""
    end = time.monotonic() + WAIT
    while not (value := found()):
        assert time.monotonic() < end, "the page did not come to show it"
        time.sleep(0.1)
    return value


def keep(browser: Any, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    assert browser.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


def open_report(browser: Any, runs: Path, width: int, height: int) -> None:
    browser.set_window_size(width, height)
    browser.get((runs / "report" / "report.html").as_uri())
    ids = browser.execute_script("return Object.keys(figures).concat(lives.map((_, k) => `replay-${k}-chart`))")
    drawn = "return arguments[0].every(id => document.querySelector(`#${id} :is(.trace, .hm)`))"
    until(lambda: browser.execute_script(drawn, ids))


def complaints(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] != "INFO"]


def test_the_report_draws_every_chart_without_an_error(browser: Any, runs: Path) -> None:
    open_report(browser, runs, 1100, 1400)
    kinds = browser.execute_script("return Object.keys(figures).map(id => id.split('-').at(-1))")
    assert sorted(set(kinds)) == ["curves", "diversity", "engagement", "now", "profile", "shown", "survival"]
    assert complaints(browser) == []
    keep(browser, "report")


def test_a_life_is_replayed_by_keyboard_and_by_itself(browser: Any, runs: Path) -> None:
    open_report(browser, runs, 1100, 1400)
    find = lambda part: browser.find_element(By.ID, f"replay-1-{part}")  # noqa: E731
    assert find("cards").text.count("Before the first slate") == 2
    find("step").send_keys(Keys.RIGHT * 3)
    assert find("now").text == "3 of 60" and find("cards").text.count("After 3 slates") == 2
    find("play").send_keys(Keys.ENTER)
    until(lambda: "After 5 slates" in find("cards").text)
    find("play").send_keys(Keys.ENTER)
    assert find("play").text == "Play"
    find("right").send_keys("random")
    until(lambda: "random" in find("cards").text)
    browser.execute_script("arguments[0].scrollIntoView()", find("user"))
    keep(browser, "replay")
    assert complaints(browser) == []


def test_a_phone_shows_it_without_scrolling_sideways(browser: Any, runs: Path) -> None:
    open_report(browser, runs, 500, 900)  # a window can be no narrower
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    keep(browser, "report-narrow")


def test_tensorboard_shows_the_runs(browser: Any, runs: Path) -> None:
    port = free_port()
    words = [sys.executable, "-m", "benchmark.cli", "tensorboard", str(runs), "--port", str(port)]
    with subprocess.Popen(words, cwd=ROOT, start_new_session=True) as served:
        try:
            until(lambda: b"myopic_oracle" in page(f"http://127.0.0.1:{port}/data/runs"))
            browser.set_window_size(1400, 1000)
            browser.get(f"http://127.0.0.1:{port}/#timeseries")
            until(lambda: all(name in text_of(browser) for name in (*AGENTS, "eval/engagement")))
            time.sleep(1.0)  # its charts fade in
            keep(browser, "tensorboard")
        finally:
            os.killpg(served.pid, signal.SIGTERM)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def page(address: str) -> bytes:
    """What is served there, or nothing while nobody listens."""
    try:
        with urlopen(address) as answer:
            return bytes(answer.read())
    except OSError:
        return b""


def text_of(browser: Any) -> str:
    return str(browser.find_element(By.TAG_NAME, "body").text).replace("\n", "")  # a title may be broken into lines
