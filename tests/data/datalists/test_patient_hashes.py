"""Hashes in place of patients' names."""

from __future__ import annotations

from models_genesis_bundle.data import patient_hashes


def test_each_patient_has_the_start_of_its_names_sha256_once_and_in_order():
    # printf LIDC-IDRI-0001 | sha256sum
    assert patient_hashes(["LIDC-IDRI-0001"]) == ["3bb5d67ab4619662"]
    assert patient_hashes(["b", "a", "b"]) == ["3e23e8160039594a", "ca978112ca1bbdca"]
