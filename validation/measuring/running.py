"""Runs a campaign for a command: says what was cut off, what failed, and how to go on."""

from __future__ import annotations

import typer
from rich.console import Console

from validation.measuring.campaign import Campaign, run_campaign
from validation.measuring.store import Result, Store


def run_or_exit(campaign: Campaign, store: Store, console: Console) -> list[Result]:
    """Measure what is missing; say what failed, and how to go on after an interruption."""
    for number in store.torn:
        console.print(f"{store.path}: line {number} was cut off and is not read", style="yellow")
    try:
        done = run_campaign(campaign, store, console)
    except KeyboardInterrupt:
        left = len(campaign.missing(store))
        console.print(
            f"interrupted with {left} of {len(campaign.specs)} left; the results so far are in "
            f"{store.path}, and the same command goes on"
        )
        raise typer.Exit(130) from None
    for result in done:
        if result.timing is None:
            console.print(result.failure, style="red")
    return done
