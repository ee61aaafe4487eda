"""Where a page of rows ends."""

from collections.abc import Iterator

import pytest

from sarvanom.backends.storage.pages import cut_page


def rows(*sizes: int | None) -> Iterator[tuple[int, bytes | None]]:
    """Return rows of a number and a body of some size."""
    return ((number, None if size is None else b"x" * size) for number, size in enumerate(sizes))


@pytest.mark.parametrize(
    ("sizes", "limit", "taken", "has_more"),
    [
        ((), 3, 0, False),
        ((1, 1), 3, 2, False),
        ((1, 1, 1), 3, 3, False),
        ((1, 1, 1, 1), 3, 3, True),
        ((4, 6), 3, 2, False),
        ((4, 6, 0), 3, 3, False),
        ((4, 6, 1), 3, 2, True),
        ((4, 7), 3, 1, True),
        ((11,), 3, 1, False),
        ((11, 0), 3, 1, True),
        ((11, None), 3, 1, True),
        ((None, 10, None, None), 4, 4, False),
        ((None, 11), 4, 1, True),
    ],
)
def test_a_page_ends_with_its_rows_or_its_bytes(
    sizes: tuple[int | None, ...], limit: int, taken: int, has_more: bool
) -> None:
    page = cut_page(rows(*sizes), 1, limit, 10)
    assert ([row[0] for row in page.rows], page.has_more) == (list(range(taken)), has_more)


def test_no_row_is_read_beyond_the_one_that_shows_that_there_is_more() -> None:
    left = rows(1, 1, 1, 1)
    cut_page(left, 1, 2, 10)
    assert [row[0] for row in left] == [3]
