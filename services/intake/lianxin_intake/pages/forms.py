"""Reading what a page's form sends, as intake's pages name it; how is in the chassis."""

from lianxin_chassis.forms import key_of, read_form, require_own_page

__all__ = ["key_of", "read_form", "require_own_page"]
