"""Where an index is: a folder, or ``milvus:URI#NAME``, a collection of Milvus."""

from __future__ import annotations

import os
import re
from os import PathLike
from pathlib import Path
from typing import Final, NamedTuple

from mbat.errors import IndexNotFoundError, ParameterError

_SCHEME: Final = "milvus:"
_FILE: Final = ".db"
_SERVERS: Final = ("http", "https", "tcp")
_CREDENTIALS: Final = re.compile(r"(?<=://).*@", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")


class Address(NamedTuple):
    """A collection of Milvus.

    Attributes
    ----------
    uri : str
        What pymilvus connects to: a file for milvus-lite, or a server.
    name : str
        The name of the collection.
    """

    uri: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether it is in a file of milvus-lite."""
        return "://" not in self.uri

    def __str__(self) -> str:
        """Write the address, without a password that may be in it."""
        return f"{_SCHEME}{shown(self.uri)}#{self.name}"


def shown(uri: str) -> str:
    """Return a URI, or an address, as messages have it: without user and password.

    Examples
    --------
    >>> shown("http://root:secret@localhost:19530"), shown("docs.db")
    ('http://localhost:19530', 'docs.db')
    """
    return _CREDENTIALS.sub("", uri)


def is_collection(place: str | PathLike[str]) -> bool:
    """Tell whether a place is a collection, and not a folder."""
    return os.fspath(place).startswith(_SCHEME)


def address_of(uri: str, name: str) -> Address:
    """Return the address of a collection.

    Raises
    ------
    ParameterError
        If there can be no such one.
    """
    if "://" in uri and not _is_server(uri):
        raise ParameterError(  # and is not repeated: part of a password may be anywhere in it
            "A server of Milvus is written http://HOST:PORT or https://USER:PASSWORD@HOST:PORT, and what is given is "
            "not. A password with one of the signs / ? # stands in $MBAT_MILVUS_TOKEN, as USER:PASSWORD."
        )
    if "://" not in uri and (not uri.endswith(_FILE) or is_collection(uri)):
        raise ParameterError(
            f"{_masked(uri)!r} is neither a file of milvus-lite, which ends in {_FILE}, nor a server such as "
            "http://localhost:19530."
        )
    if not _NAME.fullmatch(name):
        raise ParameterError(
            f"{_masked(name)!r} is no name of a collection: it begins with a letter or _, and has letters, digits and "
            "_ alone, 200 at most."
        )
    return Address(uri, name)


def _is_server(uri: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(uri)
        _ = parts.port  # which raises an error if it is no number
    except ValueError:
        return False
    return parts.scheme in _SERVERS and bool(parts.hostname) and not uri.endswith(_FILE)


def _masked(text: str) -> str:
    """Return what is no address without what may be a password in it."""
    return re.sub(r".*@", "…@", text, flags=re.DOTALL)


def parsed_address(place: str | PathLike[str]) -> Address:
    """Read the address of a collection.

    Examples
    --------
    >>> parsed_address("milvus:docs.db#docs")
    Address(uri='docs.db', name='docs')
    """
    uri, hash_sign, name = os.fspath(place).removeprefix(_SCHEME).rpartition("#")
    if not hash_sign or not uri:
        raise ParameterError(
            f"{_masked(os.fspath(place))!r} does not name a collection. Write milvus:URI#NAME, as milvus:docs.db#docs "
            "or milvus:http://localhost:19530#docs."
        )
    return address_of(uri, name)


def folder_of(place: str | PathLike[str]) -> Path:
    """Return the folder that a place is; raise ParameterError for a collection, which has no files to be looked at."""
    if is_collection(place):
        raise ParameterError(
            f"This works on an index in a folder, and {parsed_address(place)} is a collection of Milvus. Take the "
            "index that was pushed there."
        )
    return Path(place)


def check_file(address: Address) -> None:
    """Raise IndexNotFoundError if a collection is in a file that is not there: Milvus would make it."""
    if address.is_file and not Path(address.uri).exists():
        raise IndexNotFoundError(
            f"There is no file {address.uri} of milvus-lite. Make it with: mbat push --to {address.uri} "
            f"--collection {address.name}"
        )
