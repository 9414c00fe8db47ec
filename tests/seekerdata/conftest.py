"""The browser that tests of pages share; each file of tests has its own, so that none runs while others ask models."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all tests here. It ends with them: while playwright runs, no test may call `asyncio.run`."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra [dev]")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()
