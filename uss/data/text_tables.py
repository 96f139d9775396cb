"""Tables in text files, of which nothing is guessed or lost."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from uss.core.errors import InputError

_NOT_A_TABLE = (
    pd.errors.ParserError,
    pd.errors.ParserWarning,
    pd.errors.EmptyDataError,
    UnicodeDecodeError,
)


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """Read a CSV file; every field stays text, and a missing one is empty.

    Args:
        path: the file.
        options: others of ``pandas.read_csv``.

    Raises:
        InputError: if it is no table, or a row is longer than the header.
    """
    try:
        with warnings.catch_warnings():
            # Rows longer than the header would lose fields.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table: pd.DataFrame = pd.read_csv(
                path, dtype=str, keep_default_na=False, index_col=False, **options
            )
    except _NOT_A_TABLE as error:
        raise InputError(
            f"{path} is not a CSV file: {' '.join(str(error).split())}; save it anew, in UTF-8"
        ) from error
    return table
