"""Links that sign in: what they say, how long they hold, where they lead."""

import pytest

from lianxin_notifier.signin_links import SignInLinks, own_path


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


NONCE = "0123456789abcdef"


def test_a_link_says_whom_it_signs_in_and_until_when():
    clock = Clock()
    links = SignInLinks(b"secret", "https://lianxin.test/", clock)
    link = links.read(links.token("D1", NONCE, 60))
    assert link is not None
    assert (link.person, link.nonce, link.expires) == ("D1", NONCE, 1_000_060)
    assert not links.expired(link)
    clock.now += 60
    assert links.expired(link)


def test_a_link_of_another_secret_or_with_a_changed_letter_says_nothing():
    links = SignInLinks(b"secret", "https://lianxin.test")
    token = links.token("D1", NONCE, 60)
    assert SignInLinks(b"another", "https://lianxin.test").read(token) is None
    for at in range(0, len(token), 7):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert links.read(changed) is None
    for junk in ("", ".", "a.b.c", "ä.ö", token.split(".")[0]):
        assert links.read(junk) is None


@pytest.mark.parametrize(
    ("asked", "leads"),
    [
        ("/inbox/0190-a", "/inbox/0190-a"),
        ("/duty/S1", "/duty/S1"),
        ("//evil.test", "/inbox"),
        ("https://evil.test/inbox", "/inbox"),
        ("/inbox/../../x", "/inbox"),
        ("/inbox\n", "/inbox"),
        ("", "/inbox"),
    ],
)
def test_a_link_leads_to_our_own_pages_only(asked: str, leads: str):
    assert own_path(asked) == leads
