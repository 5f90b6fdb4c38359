"""What a docstring says of a function and its parameters, whatever the style it is written in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from douane.sdk.docstrings import read_docstring

GOOGLE = """Find a book.

    It looks everywhere.

    Args:
        word: Any part
            of the title.
        limit (int, optional): How many: at most.
        *more: The rest.

    Returns:
        word: not an argument
    """
NUMPY = """Find a book.

    Parameters
    ----------
    word : str
        Any part
        of the title.
    limit, size : int
        How many: at most.

    Returns
    -------
    list
        word
    """
SPHINX = """Find a book.

    :param word: Any part
        of the title.
    :param int limit: How many: at most.
    :returns: what was found
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_the_first_paragraph_is_the_description_and_each_parameter_has_its_own(text: str) -> None:
    doc = read_docstring(text)
    assert doc.description == "Find a book."
    assert (doc.parameters["word"], doc.parameters["limit"]) == ("Any part of the title.", "How many: at most.")
    assert doc.parameters.keys() <= {"word", "limit", "size", "more"}


def test_a_paragraph_may_have_lines_and_there_may_be_nothing() -> None:
    assert read_docstring("One\n    two\n    three.\n\n    Four.").description == "One two three."
    assert read_docstring(None) == ("", {})
    assert read_docstring(":param a: only this") == ("", {"a": "only this"})
    assert read_docstring("\n    Args:\n        a: only this") == ("", {"a": "only this"})


def test_prose_with_colons_is_prose() -> None:
    text = "Note: this is fine.\n\nExample: a: b\n\nArguments are checked: always."
    assert read_docstring(text) == ("Note: this is fine.", {})


@given(st.text(alphabet=st.sampled_from("ab:- \n*()\tArgs:Parameters"), max_size=200))
def test_any_text_is_read(text: str) -> None:
    read_docstring(text)
