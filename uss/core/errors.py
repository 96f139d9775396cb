"""What is wrong with what a user gave, as against what is wrong with the program."""

from __future__ import annotations

from ontology import OntologyError


class InputError(ValueError):
    """A value, a file or a combination of options cannot be used; the message says the remedy.

    Commands report it in one line with exit status 2. Any other ``ValueError``, such as NumPy's, is
    a fault of the program.
    """


_OF_A_WORKER = "Original Traceback (most recent call last)"


def one_line(error: BaseException) -> str:
    """Fold an error's message into one line; of PyTorch's workers, without their traceback."""
    text = str(error)
    if _OF_A_WORKER in text:
        text = text.rpartition(f"{type(error).__name__}: ")[2]
    return " ".join(text.split()) or type(error).__name__


INPUT_ERRORS = (InputError, OntologyError, OSError)
"""What a command may blame on its input: also what the ontology lacks, and what the system says of
files."""
