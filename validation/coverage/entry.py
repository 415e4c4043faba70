"""The call of a network in the coverage list: its module and its arguments."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Call:
    """A module with the arguments of one forward pass.

    Parameters
    ----------
    module : torch.nn.Module
        The network, with random weights, in eval mode.
    args : tuple
        Positional arguments.
    kwargs : mapping
        Keyword arguments.

    Examples
    --------
    >>> Call(abs, (-3,)).run()
    3
    """

    module: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> Any:
        """Return the outputs of one forward pass."""
        return self.module(*self.args, **self.kwargs)

    def fresh(self) -> Call:
        """Return the same call with fresh arguments, because passes may grow caches."""
        args, kwargs = copy.deepcopy((self.args, dict(self.kwargs)))
        return Call(self.module, args, kwargs)


Build: TypeAlias = Callable[[], Call]
"""Makes a network and its inputs."""
