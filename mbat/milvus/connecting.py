"""The one place that knows pymilvus: connections to Milvus, whose errors are sentences."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from mbat.addresses import shown
from mbat.errors import MilvusError
from mbat.extras import extra_module

TOKEN_VARIABLE: Final = "MBAT_MILVUS_TOKEN"

_PURPOSE: Final = "A collection of Milvus"
_LOGGERS: Final = ("pymilvus", "milvus_lite", "grpc")
_SILENT: Final = logging.CRITICAL + 1
_LONGEST: Final = 300

_FILE_REFUSED: Final = "Open local milvus failed"
_OTHER_PROCESS: Final = (
    "A file of milvus-lite is open in one process at a time: is it open in another? Or is it another sort of file?"
)


class Connection:
    """A connection to a Milvus server, or to a file of milvus-lite, which this process then serves itself.

    Parameters
    ----------
    uri : str
        As `pymilvus.MilvusClient` takes it. The token is that in the URI, else ``$MBAT_MILVUS_TOKEN``.

    Raises
    ------
    MilvusError
        If there is no Milvus, or it refuses the token, or another process has the file open.
    MissingExtraError
        If pymilvus, or milvus-lite for a file, is not installed.
    """

    def __init__(self, uri: str) -> None:
        self.uri = shown(uri)
        self._file = None if "://" in uri else os.path.abspath(uri)
        pymilvus = extra_module("pymilvus", "milvus", _PURPOSE)
        self._types = pymilvus.DataType
        self._errors = pymilvus.MilvusException, extra_module("grpc", "milvus", _PURPOSE).RpcError
        if self._file:
            extra_module("milvus_lite", "milvus", f"The file {uri} of milvus-lite")
        token = "" if "@" in uri or self._file else os.environ.get(TOKEN_VARIABLE, "")
        with _FILES.opening(self._file), self._told("cannot be opened"):
            self._client = pymilvus.MilvusClient(uri, token=token)

    @property
    def is_file(self) -> bool:
        """Whether this is a file of milvus-lite."""
        return self._file is not None

    def close(self) -> None:
        """Close the connection; a file is closed with the last one to it."""
        if self._client is not None:
            self._client.close()
            self._client = None
            _FILES.close(self._file)

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Return what a method of `pymilvus.MilvusClient` returns.

        Raises
        ------
        MilvusError
            If Milvus refuses it, or cannot be reached.
        """
        if self._client is None:
            raise MilvusError(f"The connection to {self.uri} was closed. Open it again with Index.open.")
        with self._told(f"refuses to {method.replace('_', ' ')}"):
            return getattr(self._client, method)(*arguments, **named)

    def schema(self, **fields: dict[str, Any]) -> Any:
        """Return the schema of a collection with some fields, the types of which are named."""
        schema = self.call("create_schema", auto_id=False, enable_dynamic_field=False)
        for name, told in fields.items():
            schema.add_field(name, getattr(self._types, told["type"]), **{k: v for k, v in told.items() if k != "type"})
        return schema

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Say what Milvus refuses in a sentence, and keep the traceback to oneself that it would log besides."""
        try:
            with _SILENCE:
                yield
        except self._errors as error:
            reason = " ".join(_said(error).split())[:_LONGEST].rstrip(".")
            asked = f" {_OTHER_PROCESS}" if reason == _FILE_REFUSED else ""
            raise MilvusError(f"Milvus at {self.uri} {what}: {reason}.{asked}") from error


def _said(error: Any) -> str:
    """Return what an error of pymilvus, or of the gRPC that it passes on, says."""
    return str(error.message if hasattr(error, "message") else error.details())


class _Files:
    """The files of milvus-lite that this process serves: each as long as there is a connection to it."""

    def __init__(self) -> None:
        self._lock, self._connections = threading.Lock(), Counter[str]()

    @contextmanager
    def opening(self, file: str | None) -> Iterator[None]:
        """Count a connection that is being made."""
        if file is None:
            yield
            return
        with self._lock:
            self._connections[file] += 1
        try:
            yield
        except BaseException:
            self.close(file)
            raise

    def close(self, file: str | None) -> None:
        """Count a connection that was closed; the last one closes the file."""
        if file is None:
            return
        with self._lock:
            self._connections[file] -= 1
            if not self._connections[file]:
                manager = extra_module("milvus_lite.server_manager", "milvus", _PURPOSE)
                manager.server_manager_instance.release_server(file)


_FILES: Final = _Files()


class _Silence:
    """Keeps the loggers of pymilvus and milvus-lite silent as long as any thread is in it."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._levels: list[int] = []

    def __enter__(self) -> None:
        loggers = list(map(logging.getLogger, _LOGGERS))
        with self._lock:
            if not self._inside:
                self._levels = [logger.level for logger in loggers]
                for logger in loggers:
                    logger.setLevel(_SILENT)
            self._inside += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            return  # interrupted: milvus-lite goes on in its threads, and would log that its files are closed
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for name, level in zip(_LOGGERS, self._levels, strict=True):
                    logging.getLogger(name).setLevel(level)


_SILENCE: Final = _Silence()
