"""Options of the test suite, and the environment that it gives to the tools it starts."""

from __future__ import annotations

import os

import pytest

# A tool that a test starts prints plainly wherever the suite runs: some CIs ask every program for colour by one of these.
for asked in ("FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "NO_COLOR"):
    os.environ.pop(asked, None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden pages anew; read the difference before you commit it"
    )
