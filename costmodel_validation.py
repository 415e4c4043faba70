"""The folder ``validation`` of the repository under the name that the wheel installs it by.

The wheel has no such file: it has the folder itself, called ``costmodel_validation``.
"""

from pathlib import Path

__path__ = [str(Path(__file__).with_name("validation"))]
