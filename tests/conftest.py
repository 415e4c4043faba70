"""Settings of hypothesis: the same examples in every run, and no limit on the time of one."""

from __future__ import annotations

import sys
from pathlib import Path

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
