"""Packages that not everybody needs: imported when they are, with one sentence if they are not installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mbat.errors import MissingExtraError


def extra_module(name: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional dependency.

    Parameters
    ----------
    name : str
        The module.
    extra : str
        The extra of mbat that installs it.
    purpose : str
        What needs it, as the subject of a sentence.

    Raises
    ------
    MissingExtraError
        If it is not installed; the message has the line that installs it.

    Examples
    --------
    >>> extra_module("math", "calculus", "Counting").floor(2.5)
    2
    >>> extra_module("abacus", "calculus", "Counting")
    Traceback (most recent call last):
    ...
    mbat.errors.MissingExtraError: Counting needs abacus, which is not installed. Run: pip install 'mbat[calculus]'
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = name.split(".")[0] if name.split(".")[0] != "backports" else name
        raise MissingExtraError(
            f"{purpose} needs {package}, which is not installed. Run: pip install 'mbat[{extra}]'"
        ) from error
