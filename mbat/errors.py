"""The exceptions of the library, one tree; each message is a sentence that says what to do.

MbatError
├── ParameterError      (ValueError)   a parameter outside its range
├── PathError           (ValueError)   a path such as ``a.b[].c`` that is not well formed
├── FilterError         (ValueError)   a filter such as ``price < 10`` that is not well formed
├── DocumentError       (ValueError)   a value that is no JSON document
├── SourceError         (ValueError)   an input file that cannot be read as documents
├── MissingExtraError   (ImportError)  an optional dependency that is not installed
├── DeviceError                        a GPU that was asked for cannot be used
├── MilvusError                        Milvus cannot be reached, or refuses what is asked of it
└── IndexFolderError                   an index that cannot be used, in a folder or in Milvus
    ├── IndexNotFoundError             there is none where one was named
    ├── IndexExistsError               there is one where a new one was to be made
    ├── IndexBusyError                 another process is changing it
    ├── IndexDamagedError              what is kept is not what was written
    └── IndexVersionError              its format or encoder is not one this version can use
"""

from __future__ import annotations


class MbatError(Exception):
    """Anything mbat refuses to do, said in a sentence."""


class ParameterError(MbatError, ValueError):
    """A parameter outside its range."""


class PathError(MbatError, ValueError):
    """A path that is not well formed."""


class FilterError(MbatError, ValueError):
    """A filter that is not well formed."""


class DocumentError(MbatError, ValueError):
    """A value that is no JSON document.

    Attributes
    ----------
    reason : str
        What is wrong, without where.
    path : str
        Where in the document, as ``$.a[0].b``.
    position : int or None
        Which of the documents given, from 0, where that is known.
    """

    def __init__(self, reason: str, path: str = "$", position: int | None = None) -> None:
        self.reason, self.path, self.position = reason, path, position
        where = path if position is None else f"document {position}, {path}"
        super().__init__(f"At {where}: {reason}.")

    def __reduce__(self) -> tuple[type[DocumentError], tuple[str, str, int | None]]:
        """Let it come back from another process as it was."""
        return type(self), (self.reason, self.path, self.position)


class SourceError(MbatError, ValueError):
    """An input file that cannot be read as documents."""


class MissingExtraError(MbatError, ImportError):
    """An optional dependency that is not installed."""


class MilvusError(MbatError):
    """Milvus cannot be reached, or refuses what is asked of it."""


class DeviceError(MbatError):
    """A GPU that was asked for cannot be used."""


class IndexFolderError(MbatError):
    """An index that cannot be used, in a folder or in a collection of Milvus."""


class IndexNotFoundError(IndexFolderError):
    """There is no index where one was named."""


class IndexExistsError(IndexFolderError):
    """There is an index, or something else, where a new index was to be made."""


class IndexBusyError(IndexFolderError):
    """Another process is changing the index."""


class IndexDamagedError(IndexFolderError):
    """What is kept of an index is not what was written."""


class IndexVersionError(IndexFolderError):
    """The format or the encoder of an index is not one this version can use."""
