"""The words that somebody wrote in a mail: without tags, and without what was quoted or added below. Pure.

Each line is looked at once, by expressions that can't go back and forth: mail comes from anybody.
"""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset({
    "address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "td", "tr", "ul",
})  # fmt: skip
_UNSEEN = frozenset({"head", "noscript", "script", "style", "template", "title"})
_QUOTES = frozenset({"blockquote"})
_QUOTE_CLASSES = frozenset({"gmail_quote", "moz-cite-prefix", "yahoo_quoted", "OutlookMessageHeader"})
_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
})  # fmt: skip
_MAX_DEPTH = 500

_BLANKS = re.compile(r"[ \t\u00a0\u3000]+")
_SIGNATURE = re.compile(r"--\s?")
_ORIGINAL = re.compile(
    r"[-_— ]{2,}\s?(原始邮件|原邮件|转发邮件|Original Message|Forwarded message)", re.IGNORECASE
)
_WROTE = re.compile(r"(在|于|On\b|\d{4}).*(写道|wrote)\s?[:：]?", re.IGNORECASE)
_HEADER = re.compile(
    r"\*?(发件人|发送时间|收件人|抄送|主题|日期|From|Sent|To|Cc|Subject|Date)\*?\s?[:：]", re.IGNORECASE
)
_DEVICE = re.compile(r"(发自我的|来自我的|从我的.{1,20}发送|Sent from my|Get Outlook for)", re.IGNORECASE)
_LINE = 300  # characters that are looked at


def from_html(html: str) -> str:
    """The text of `html`; nothing is fetched, quoted mails are left out."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (_BLANKS.sub(" ", line).strip() for line in "".join(reader.found).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def own_words(text: str) -> str:
    """What of `text` its sender wrote for us: up to the signature or the mail below it, without lines quoted
    by `>`. Where nothing would be left (a forwarded mail), the whole."""
    kept: list[str] = []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines):
        start = line[:_LINE].strip()
        if _ends(start, lines[number + 1 : number + 5]):
            break
        if not start.startswith(">") and _DEVICE.match(start) is None:
            kept.append(line.rstrip())
    return "\n".join(kept).strip() or text.strip()


def _ends(line: str, following: list[str]) -> bool:
    """Whether what the sender wrote ends before `line`."""
    if _SIGNATURE.fullmatch(line) or _ORIGINAL.match(line):
        return True
    if line.endswith((":", "：", "写道", "wrote")) and _WROTE.match(line):
        return True
    return bool(_HEADER.match(line)) and any(_HEADER.match(other.strip()[:_LINE]) for other in following)


class _Reader(HTMLParser):
    """Collects the text that is seen. Tags that are never closed hide nothing but what is in them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._open: list[str] = []
        self._hidden_at: int | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if tag in _BLOCKS:
            self.found.append("\n")
        if tag in _VOID or len(self._open) >= _MAX_DEPTH:
            return
        classes = set((dict(attrs).get("class") or "").split())
        if self._hidden_at is None and (tag in _UNSEEN | _QUOTES or classes & _QUOTE_CLASSES):
            self._hidden_at = len(self._open)
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends, and with it those in it that were not closed."""
        if tag in _BLOCKS:
            self.found.append("\n")
        if tag not in self._open:
            return
        while self._open.pop() != tag:
            pass
        if self._hidden_at is not None and len(self._open) <= self._hidden_at:
            self._hidden_at = None

    def handle_data(self, data: str) -> None:
        """A piece of text."""
        if self._hidden_at is None:
            self.found.append(data.replace("\n", " ").replace("\r", " "))
