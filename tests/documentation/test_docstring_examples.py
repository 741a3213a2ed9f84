"""The examples in the docstrings of public classes and functions run and print what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

PACKAGES = ("transforms", "networks", "data", "weights", "metrics", "optim")
PUBLIC = {
    name: getattr(module, name)
    for module in (importlib.import_module(f"models_genesis_bundle.{package}") for package in PACKAGES)
    for name in module.__all__
}
EXAMPLES = {name: thing for name, thing in PUBLIC.items() if ">>> " in (inspect.getdoc(thing) or "")}


@pytest.fixture(scope="module")
def user_folder(phantoms, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("user")
    (folder / "phantoms").symlink_to(phantoms)
    return folder


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_it_says(name, user_folder, monkeypatch):
    monkeypatch.chdir(user_folder)
    module = sys.modules[EXAMPLES[name].__module__]
    names = {"np": np, "torch": torch, name: EXAMPLES[name]}
    (found,) = doctest.DocTestFinder(recurse=False).find(EXAMPLES[name], name, module=module, globs=names)
    printed: list[str] = []
    failed, tried = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=printed.append)
    assert tried
    assert not failed, "".join(printed)


def test_every_class_that_users_call_has_an_example():
    called = ("transforms", "networks", "metrics")
    public = [
        name for package in called for name in importlib.import_module(f"models_genesis_bundle.{package}").__all__
    ]
    classes = {name for name in public if inspect.isclass(PUBLIC[name]) and not issubclass(PUBLIC[name], Exception)}
    assert classes - EXAMPLES.keys() == {"ReliabilityCurve"}  # a result, which `expected_calibration_error` shows
