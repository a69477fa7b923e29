"""A file that configures an encoder: TOML, with the arguments of `mbat.Encoder` as its entries."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from typing import Any

from mbat.encoder import Encoder
from mbat.errors import ParameterError


def configured_encoder(path: Path) -> Encoder:
    """Return a new encoder with the parameters in a TOML file.

    Parameters
    ----------
    path : Path
        Such as::

            dim = 512
            [fields]
            id = { weight = 0 }
            "seller.name" = { weight = 3 }
            sku = { strings = "symbol" }

    Raises
    ------
    ParameterError
        If the file cannot be read, is no TOML, or holds what is no parameter; the message names the file.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ParameterError(f"The configuration {path} cannot be read: {error.strerror or error}.") from error
    except RecursionError:
        raise ParameterError(f"The configuration {path} is nested too deep.") from None
    except ValueError as error:  # broken TOML, or bytes that are no UTF-8
        raise ParameterError(f"The configuration {path} is no TOML: {error}.") from error
    known = [name for name in inspect.signature(Encoder).parameters if name != "text"]  # a function is no TOML
    for name in given:
        if name not in known:
            raise ParameterError(f"The configuration {path} has {name!r}; its entries are {', '.join(known)}.")
    try:
        return Encoder(**given)
    except ParameterError as error:
        raise ParameterError(f"The configuration {path}: {error}{_hint(given)}") from None


def _hint(given: dict[str, Any]) -> str:
    """Return a sentence for a path that TOML took apart at its dots, else nothing."""
    fields = given.get("fields")
    rules = fields.values() if isinstance(fields, dict) else ()
    if any(isinstance(value, dict) for rule in rules if isinstance(rule, dict) for value in rule.values()):
        return ' Quote a path of several keys: "seller.name" = { weight = 3 }.'
    return ""
