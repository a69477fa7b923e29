"""Texts as a terminal shows them: how wide they are, cut and padded to a width, and with nothing that steers it."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """Return a text with what would break a line, or steer a terminal, written as in Python.

    Examples
    --------
    >>> printable("a\\nb")
    'a\\\\nb'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def width_of(text: str) -> int:
    """Return how many columns a text takes: of Chinese, Japanese and Korean two a character, of accents none.

    Examples
    --------
    >>> width_of("Tokyo"), width_of("東京")
    (5, 4)
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, width: int) -> str:
    """Return a text, cut to a width, with an ellipsis if something is gone.

    Examples
    --------
    >>> cut("Republic of Chad", 9), cut("東京都", 5)
    ('Republic…', '東京…')
    """
    if width_of(text) <= width:
        return text
    room, end = width - 1, 0
    while end < len(text) and room >= _columns(text[end]):
        room -= _columns(text[end])
        end += 1
    return f"{text[:end]}…"


def padded(text: str, width: int) -> str:
    """Return a text with spaces up to a width."""
    return text + " " * (width - width_of(text))


def _columns(one: str) -> int:
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in ("W", "F") else 1
