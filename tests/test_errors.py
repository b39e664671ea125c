"""The error tree."""

import pytest

from wsgistack import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_stands_in_the_tree_of_the_docstring(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.WsgistackError)
    assert errors.__doc__ is not None and name in errors.__doc__


def test_an_error_says_whose_fault_it_is_and_whether_to_try_again() -> None:
    assert (errors.ConfigurationError.fault, errors.ConfigurationError.may_retry) == ("operator", False)
    assert (errors.ListenError.fault, errors.ListenError.may_retry) == ("operator", True)
    assert errors.WsgistackError.fault == "system"


def test_the_nearest_name_follows_the_text() -> None:
    error = errors.UnknownName("no part 'lest'", met="lest", nearest="least")
    assert str(error) == "no part 'lest' (did you mean 'least'?)"
    assert str(errors.CommandError("no", met="x", nearest=None)) == "no"
