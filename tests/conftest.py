"""Settings of hypothesis: the same examples in every run, and no limit on the time of one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # for `import oracles`

settings.register_profile(
    "costmodel",
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    # Random graphs are large draws; that they take some time is known.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("costmodel")


@pytest.fixture(scope="session", autouse=True)
def _nobodys_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Predict by what ships and print as on a plain terminal of 80 columns.

    A calibration of whoever runs the tests changes what they compare, and the width and colours of
    a terminal where a sentence breaks.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSTMODEL_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("COLUMNS", "80")
        for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            patch.delenv(name, raising=False)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Iterator[Any]:
    """Leave doctests out here: their collector imports a file first, and hides that it fails.

    The import of the tests then finds the half that was loaded, and the others are lost in silence.
    """
    found = yield
    return [collector for collector in found if type(collector) is pytest.Module]
