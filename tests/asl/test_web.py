"""What may be called, and what says that it is JSON."""

import pytest

from treadle.asl.web import is_json, url_problem


@pytest.mark.parametrize(
    "text", ["http://h", "HTTPS://h.default.svc:8443/a/b?c=d", "https://[::1]/", "http://h/a b"]
)
def test_a_url_that_may_be_called_has_no_problem(text: str) -> None:
    assert url_problem(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", '"" must be an absolute http or https URL'),
        ("resize", '"resize" must be an absolute http or https URL'),
        ("ftp://h", '"ftp://h" must be an absolute http or https URL'),
        ("http://", '"http://" must be an absolute http or https URL'),
        ("http://a b", '"http://a b" must be an absolute http or https URL'),
    ],
)
def test_a_url_is_absolute_and_names_a_host(text: str, problem: str) -> None:
    assert url_problem(text) == problem


@pytest.mark.parametrize("text", ["http://h:port", "http://[h"])
def test_what_cannot_be_taken_apart_is_no_url(text: str) -> None:
    assert (url_problem(text) or "").startswith(f'"{text}" is no URL: ')


@pytest.mark.parametrize("text", ["http://me:secret@h", "ftp://me:secret@h:port", "http://me@h"])
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    assert url_problem(text) == "it must not hold a user or a password"


@pytest.mark.parametrize(
    ("content_type", "said"),
    [
        ("application/json", True),
        ("Application/JSON ; charset=utf-8", True),
        ("text/json", True),
        ("application/vnd.api+json", True),
        ("application/json-seq", False),
        ("application/jsonl", False),
        ("application/vnd.api+json-seq", False),
        ("application/x; y=+json", False),
        ("text/plain", False),
        ("", False),
    ],
)
def test_only_a_media_type_of_json_says_json(content_type: str, said: bool) -> None:
    assert is_json(content_type) is said
