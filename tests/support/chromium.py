"""Debian's Chromium for tests of pages, and the mark of tests that need it."""

import os
import shutil

import pytest
from playwright.sync_api import Browser, Playwright

CHROMIUM = shutil.which("chromium")
# In CI a browser that can't be had is a failure, not a skip.
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="needs Debian's chromium"
)


def launched(playwright: Playwright) -> Browser:
    """A headless browser that does nothing of its own accord."""
    return playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    )
