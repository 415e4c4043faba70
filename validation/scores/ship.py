"""The command ``calibrations``: writes the calibrations that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from costmodel.graph.writing import write_atomically
from costmodel.platforms import calibration_file
from costmodel.timing.fitted import to_toml

from .paper_scores import paper_bench
from .paper_tables import PLATFORMS, printed

_FOLDER = Path(__file__).resolve().parents[2] / "costmodel" / "calibrations"


def calibrations(
    folder: Annotated[Path, typer.Option("-o", "--output", help="Output folder.")] = _FOLDER,
) -> None:
    """Fit the paper's platforms to its Tables 1-4 and write the calibrations as TOML.

    Table 8 and Figure 2 are left for checking. For example:

    python -m validation calibrations
    """
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    for kind, name in PLATFORMS.items():
        stacks = paper_bench(kind)
        source = f"{printed()['source']}; Tables 1-4"
        fitted = stacks.bench.fitted(np.arange(len(stacks.cells)), {"data": source})
        file = folder / calibration_file(name)
        write_atomically(file, to_toml(name, fitted.fitted))
        console.print(f"{file}: {len(stacks.cells)} rows", highlight=False)
