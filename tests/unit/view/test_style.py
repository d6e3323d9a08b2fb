"""What may reach a terminal, and when it is in colour."""

import io

import pytest

from synfin.view.style import Style, safe, style_for


class Terminal(io.StringIO):
    encoding = "UTF-8"

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("web-01", "web-01"),
        ("größe 🦊", "größe 🦊"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\r\nb\tc", "a\\x0d\\x0ab\\x09c"),
        ("\x7f\x9b0m", "\\x7f\\x9b0m"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),  # turns the direction of writing around
        ("zero\u200bwidth", "zero\\u200bwidth"),
    ],
)
def test_what_moves_a_cursor_is_made_visible(given, shown):
    assert safe(given) == shown


def test_colours_on_a_terminal_alone():
    assert style_for(Terminal(), {}).colours
    assert not style_for(io.StringIO(), {}).colours
    assert not style_for(Terminal(), {"NO_COLOR": "1"}).colours
    assert style_for(Terminal(), {"NO_COLOR": ""}).colours  # as no-color.org says: when not empty
    assert not style_for(Terminal(), {"TERM": "dumb"}).colours


def test_signs_where_the_encoding_has_them():
    class Old(Terminal):
        encoding = "ISO-8859-1"

    assert style_for(Terminal(), {}).sign("→", ">") == "→"
    assert style_for(Old(), {}).sign("→", ">") == ">"


def test_paint_leaves_alone_what_has_no_colour():
    assert Style(colours=True).paint("", "bad") == ""
    assert Style(colours=True).paint("x", "unknown") == "x"
    assert Style(colours=False).paint("x", "bad") == "x"
    assert Style(colours=True).paint("x", "bad") == "\x1b[1;31mx\x1b[0m"
    assert Style(colours=True).state("ESTABLISHED", "ESTABLISHED") == "\x1b[32mESTABLISHED\x1b[0m"
