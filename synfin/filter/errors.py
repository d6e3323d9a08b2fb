"""What is wrong with a filter: said with a caret under the place."""

from typing import Final

from synfin.errors import UsageError

WIDTH: Final = 100  # characters of a filter that are shown around the place


class FilterError(UsageError):
    """A filter that cannot be read or makes no sense. `at` is the stretch of its text that is meant."""

    def __init__(self, text: str, at: tuple[int, int], what: str) -> None:
        first, last = min(at[0], len(text)), min(max(at[1], at[0] + 1), len(text) + 1)
        cut = max(0, first - WIDTH // 2)
        shown = "".join(c if c.isprintable() else "?" for c in text[cut : cut + WIDTH])
        carets = "^" * min(max(last - first, 1), WIDTH - (first - cut))
        super().__init__(f"filter: {what}\n  {shown}\n  {' ' * (first - cut)}{carets}")
        self.what, self.at = what, at
