"""What somebody wrote in a mail: tags, quotes and signatures are not part of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_intake.mail.words import from_html, own_words


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>路灯坏了</p><p>三天了</p>", "路灯坏了\n\n三天了"),
        (
            "<head><title>x</title><style>p{}</style></head><div>路灯&nbsp;坏了<br>请修</div>",
            "路灯 坏了\n请修",
        ),
        ("路灯<script>alert(1)</script>坏了", "路灯坏了"),
        ('路灯<img src="http://tracker.example/x.gif">坏了', "路灯坏了"),
        ('<div>坏了</div><div class="gmail_quote">在 写道<blockquote>旧</blockquote></div>', "坏了"),
        ("<b>路灯<i>坏了", "路灯坏了"),
        ("没有标签 &lt;3 &amp;", "没有标签 <3 &"),
    ],
)
def test_html_becomes_the_text_that_is_seen(html: str, text: str) -> None:
    assert from_html(html) == text


@pytest.mark.parametrize(
    "below",
    [
        "-- \n王先生\n电话 110",
        "------------------ 原始邮件 ------------------\n发件人: x",
        "-----Original Message-----\nFrom: x",
        "在 2026年11月26日，王芳 写道：\n> 请说明",
        "On Thu, Nov 26, 2026 at 8:00 AM x <x@example.org> wrote:\n> hello",
        "发件人: 王芳\n发送时间: 2026年\n收件人: x\n\n旧的内容",
        "> 引用\n> 引用",
        "发自我的iPhone",
    ],
)
def test_what_is_below_is_cut(below: str) -> None:
    assert own_words(f"路灯坏了\n请修\n\n{below}") == "路灯坏了\n请修"


def test_what_only_looks_like_a_quote_stays() -> None:
    for text in ("我在会上写道歉信", "- 路灯\n- 井盖", "主题：路灯\n已经坏了三天\n请修\n谢谢\n王"):
        assert own_words(text) == text


def test_a_mail_that_is_all_quote_is_kept_whole() -> None:
    assert own_words("> 路灯坏了") == "> 路灯坏了"


@given(st.text(max_size=400))
def test_any_text_and_any_html_is_read(text: str) -> None:
    own_words(text)
    from_html(text)
    assert "<script" not in from_html(f"<script>{text.replace('<', '')}</script>")
