"""Logs: one JSON object a line, or plain text."""

import json
import logging
from collections.abc import Iterator

import pytest

from treadle.app import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("kopf.objects").setLevel(logging.NOTSET)


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json", "INFO")
    logging.getLogger("treadle.x").warning("a %s\nof two lines", "text")
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert said["message"] == "a text\nof two lines"
    assert (said["level"], said["name"]) == ("WARNING", "treadle.x")
    assert "time" in said


def test_an_exception_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json", "INFO")
    try:
        raise ValueError("oh")
    except ValueError:
        logging.getLogger("treadle.x").exception("it broke")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: oh" in json.loads(line)["exc_info"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text", "INFO")
    logging.getLogger("treadle.x").warning("hello")
    assert capsys.readouterr().err.endswith("WARNING treadle.x hello\n")


def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text", "WARNING")
    logging.getLogger("treadle.x").info("hello")
    assert capsys.readouterr().err == ""


def test_kopf_does_not_tell_of_each_object(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text", "INFO")
    logging.getLogger("kopf.objects").info("handled")
    assert capsys.readouterr().err == ""
