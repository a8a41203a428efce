"""Options of backends as options of commands."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kserve_nb.clusters import Option


class Number(click.FloatRange):
    """A number in a range. `nan` is not one: it passes FloatRange, because every comparison with it is false."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number that was typed."""
        number = float(super().convert(value, param, ctx))
        return self.fail(f"{value} is not a number.", param, ctx) if math.isnan(number) else number


def _type(option: Option) -> click.ParamType[Any] | type[str]:
    if option.choices:
        return click.Choice(option.choices)
    if option.type is Path:
        return click.Path(path_type=Path)
    if option.type is int:
        low, high = option.minimum, option.maximum
        return click.IntRange(None if low is None else int(low), None if high is None else int(high))
    if option.type is float:
        return Number(option.minimum, option.maximum, min_open=option.above_minimum)
    return str


def with_option(command: Callable[..., None], option: Option, kinds: str = "") -> Callable[..., None]:
    """The command with one more option.

    Args:
        command: the function of a command.
        option: the option of a backend.
        kinds: text in front of the help: the kinds of clusters that take the option.
    """
    default = f"  [default: {option.default}]" if option.default else ""
    decorate = click.option(option.flag, option.name, type=_type(option), metavar=option.metavar,
                            help=f"{kinds}{option.help}{default}")
    return decorate(command)
