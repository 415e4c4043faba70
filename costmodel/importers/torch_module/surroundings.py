"""Caches beside a module, in its classes and files, which a run may fill."""

from __future__ import annotations

import functools
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from typing import Any

_CONTAINERS = frozenset({dict, list, set, OrderedDict, defaultdict})
_CACHED = type(functools.lru_cache(lambda: None))


class Surroundings:
    """Restores the containers and caches around ``module`` at the end of a ``with`` block.

    Those of its classes and of the files that define them, not of torch.
    """

    def __init__(self, module: Any) -> None:
        kinds = {kind for part in module.modules() for kind in type(part).__mro__}
        kinds = {kind for kind in kinds if not kind.__module__.startswith(("torch.", "builtins"))}
        files = {kind.__module__ for kind in kinds}
        places: list[Mapping[str, Any]] = [vars(kind) for kind in kinds]
        places += [vars(sys.modules[name]) for name in files if name in sys.modules]
        found = [x for place in places for key, x in list(place.items()) if key[:2] != "__"]
        self._held = [(x, list(_items(x))) for x in found if type(x) in _CONTAINERS]
        self._cached = [(x, x.cache_info().currsize) for x in found if type(x) is _CACHED]

    def __enter__(self) -> None:
        """Do nothing: the state was saved at the start."""

    def __exit__(self, *error: object) -> None:
        """Put back what was there."""
        for container, before in self._held:
            now = list(_items(container))
            if len(now) != len(before) or not all(map(_are_same, now, before)):
                container.clear()
                container.extend(before) if isinstance(container, list) else container.update(
                    before
                )
        for function, size in self._cached:
            if function.cache_info().currsize != size:
                function.cache_clear()


def _items(container: Any) -> Any:
    return container.items() if isinstance(container, dict) else container


def _are_same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b) == 2:
        return a[0] is b[0] and a[1] is b[1]
    return a is b
