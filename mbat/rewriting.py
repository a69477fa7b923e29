"""Writing all vectors of an index anew from its documents: without the dropped ones, as another kind, or refitted."""

from __future__ import annotations

from pathlib import Path

from mbat.changing import changing
from mbat.choosing import check_kind, chosen_kind
from mbat.content import Content
from mbat.embedding import TextFunction
from mbat.encoder import Encoder
from mbat.encoder_files import encoder_parts
from mbat.progress import Progress, silent
from mbat.reading import encoder_of_index, golden_vector
from mbat_indexes import CPU, Device


def compact_index(folder: Path, known: Encoder, progress: Progress = silent, device: Device = CPU) -> bool:
    """Give the space of dropped documents back, and bring all vectors into one segment.

    Returns
    -------
    bool
        Whether the space is given back. While readers are in the middle of an older state it is kept for them, and is
        given back when the index is closed by all, or compacted again.

    Raises
    ------
    IndexBusyError, IndexFolderError
        See `mbat.changing.changing`; the message tells what was changed, if anything.
    """
    with changing(folder, device) as change:
        content = change.before
        if len(content.segments) > 1 or len(change.store.dropped()):
            encoder = encoder_of_index(change.store, content, folder, known)
            change.commit(change.rewrite(0, encoder, content.kind, progress))
        return change.shrink()


def rebuild_index(
    folder: Path,
    kind: str | None = None,
    refit: bool = False,
    progress: Progress = silent,
    text: TextFunction | None = None,
    device: Device = CPU,
) -> Content:
    """Make all vectors anew, from the documents that the index holds; return what it then holds.

    Parameters
    ----------
    folder : Path
        The index.
    kind : str, optional
        A kind of `mbat_indexes.KINDS`, or ``auto``; without it the kind stays.
    refit : bool
        Whether the encoder learns its statistics anew from the documents.
    progress : callable
        Told how far the work is.
    text : callable, optional
        The text embedder of the index's encoder, if that has one.
    device : Device
        Where vectors are put into lists.

    Raises
    ------
    ParameterError
        If there is no such kind, or the text embedder is missing.
    IndexBusyError, IndexFolderError
        See `mbat.changing.changing`; nothing has changed.
    """
    with changing(folder, device) as change:
        encoder = encoder_of_index(change.store, change.before, folder, None, text)
        check_kind(kind or change.before.kind, encoder.dim, device)
        if refit:
            encoder = change.fitted(encoder, progress)
            change.store.put_encoder(*encoder_parts(encoder))
        chosen, reason = change.before.kind, change.before.reason
        if kind is not None:
            chosen, reason = chosen_kind(kind, len(change.store), encoder.dim, device)
        segments = change.rewrite(0, encoder, chosen, progress)
        made = {"kind": chosen, "reason": reason, "fingerprint": encoder.fingerprint, "golden": golden_vector(encoder)}
        return change.commit(segments, **made)
