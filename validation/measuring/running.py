"""Campaigns of commands, with messages on torn lines, failures and resuming."""

from __future__ import annotations

import typer
from rich.console import Console

from .campaign import Campaign, run_campaign
from .store import Result, Store


def run_or_exit(campaign: Campaign, store: Store, console: Console) -> list[Result]:
    """Measure the networks without a result; name failures, and how to resume when interrupted."""
    for path, torn in ((store.path, store.torn), (store.rounds.path, store.rounds.torn)):
        for number in torn:
            say(console, f"{path}: line {number} was cut off and is not read", "yellow")
    try:
        done = run_campaign(campaign, store, console)
    except KeyboardInterrupt:
        left = len(campaign.missing(store))
        say(
            console,
            f"interrupted with {left} of {len(campaign.specs)} left; the results so far are in "
            f"{store.path}, and the same command goes on",
        )
        raise typer.Exit(130) from None
    failed = [result for result in done if result.timing is None]
    if failed:
        say(console, f"{len(failed)} of {len(campaign.specs)} networks failed:", "red")
    for result in failed:
        say(console, result.failure, "red")
    return done


def say(console: Console, text: str, style: str = "") -> None:
    """Print a sentence as it is: names may hold brackets, and a path is not to be broken.

    What a network or a board brings along may also hold what a terminal obeys; it is shown instead.
    """
    text = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
