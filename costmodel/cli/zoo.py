"""``costmodel zoo``: the networks that are known by name."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from costmodel.cli.networks import JsonOption
from costmodel.errors import DataError

_CITED = {"t": "{} {}", "p": "({} {})"}
"""Plain-text forms of a textual and a parenthetical citation."""


_HOW = 'Parameters follow the name: "shufflenet_v2?width=1.5&size=224". Sizes may be symbols.'


def zoo(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORD...]", help="List only entries whose name or summary contains every word."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List networks, blocks and single operators by name.

    Example: costmodel zoo resnet
    """
    from textwrap import fill

    from costmodel.cli.console import print_json, stdout
    from costmodel.report import document

    networks = [entry for entry in _networks() if _holds(entry, words or [])]
    if words and not networks:
        raise DataError(f"no network of the zoo holds {' and '.join(map(repr, words))}")
    if json:
        print_json(document("zoo", networks=networks))
        return
    width = min(stdout().width, 100)
    for entry in networks:
        shown = [_shown(p) for p in entry["parameters"]]
        print(fill(f"{entry['name']}: {entry['summary']}", width, subsequent_indent="    "))
        print(fill(", ".join(shown), width, initial_indent="    ", subsequent_indent="    "))
    print()
    print(fill(_HOW, width))


def _holds(entry: dict[str, Any], words: list[str]) -> bool:
    text = f"{entry['name']} {entry['summary']}".lower()
    return all(word.lower() in text for word in words)


def _shown(parameter: dict[str, Any]) -> str:
    name, default = parameter["name"], parameter["default"]
    return name if default is None else f"{name}={default}"


def _plain(text: str) -> str:
    """Return a docstring line without markup.

    >>> _plain("Return MnasNet-B1 of :cite:t:`tan2019mnasnet`.")
    'Return MnasNet-B1 of Tan 2019.'
    """
    pattern = r":cite:(t|p):`([a-z]+)(\d{4})\w*`"
    cited = re.sub(pattern, lambda m: _CITED[m[1]].format(m[2].title(), m[3]), text)
    return cited.replace("``", "")


def _networks() -> list[dict[str, Any]]:
    from costmodel.zoo import NETWORKS
    from costmodel.zoo.parameters import accepted, kind_of, written

    return [
        {
            "name": name,
            "summary": _plain((function.__doc__ or "").strip().partition("\n")[0]),
            "parameters": [
                {
                    "name": key,
                    "holds": kind_of(parameter).words,
                    "default": None
                    if parameter.default is parameter.empty
                    else written(parameter.default),
                }
                for key, parameter in accepted(function).items()
            ],
        }
        for name, function in NETWORKS.items()
    ]
