"""A traceback ends with the message that says what to do."""

from __future__ import annotations

import sys

from models_genesis_bundle.bundle_config.last_line import end_tracebacks_with_the_cause
from monai.bundle import ConfigParser


def printed(monkeypatch, capsys, error: BaseException) -> list[str]:
    monkeypatch.setattr(sys, "excepthook", None)
    end_tracebacks_with_the_cause()
    sys.excepthook(type(error), error, error.__traceback__)
    return capsys.readouterr().err.splitlines()


def caught(config) -> BaseException:
    try:
        ConfigParser(config).get_parsed_content("run")
    except RuntimeError as error:
        return error
    raise AssertionError


def test_what_monai_wraps_is_said_last(monkeypatch, capsys):
    component = {"_target_": "models_genesis_bundle.engines.GradientClipping", "max_norm": -1}
    error = caught({"clipping": component, "run": "$print(@clipping)"})
    lines = printed(monkeypatch, capsys, error)
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("ValueError: max_norm: expected a number above 0")


def test_an_error_with_a_cause_of_its_own_is_not_taken_apart(monkeypatch, capsys):
    error = RuntimeError("what to do")
    error.__cause__ = ValueError("why")
    assert printed(monkeypatch, capsys, error)[-1] == "RuntimeError: what to do"
