"""Patients in a record that is given away: told apart, not named."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

__all__ = ["patient_hashes"]

_DIGITS = 16


def patient_hashes(names: Iterable[str]) -> list[str]:
    """The first 16 hexadecimal digits of the SHA-256 of each patient's name (UTF-8), each once, in ascending order.

    Who has a list of names can find out which of them are meant, so that a test set can be checked against the patients of a
    pretraining; nobody reads a name out of the hashes. They are no secret: names that can be counted through, as numbers
    can, are found by trying.

    Examples:
        >>> from models_genesis_bundle.data import patient_hashes
        >>> patient_hashes(["ana"])
        ['24d4b96f58da6d4a']
    """
    return sorted({hashlib.sha256(os.fsencode(str(name))).hexdigest()[:_DIGITS] for name in names})
