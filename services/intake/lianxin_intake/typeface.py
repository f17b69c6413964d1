"""The letters of printed pages: Noto Sans SC, cut down to what one document says.

The font travels inside the document: whoever prints it may have no Chinese font to put in its place.
ReportLab embeds TrueType outlines alone and Noto has PostScript ones, so that the few glyphs which are needed
are converted: 20 ms for a poster, where the whole font would take seconds.
"""

from collections.abc import Iterable
from functools import cache
from io import BytesIO

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from pylopdf_fonts_zh_cn import sans_path

# How far a converted curve may be from the original, in 1/1000 of the letter's size: 0.04 mm on the largest
# letter of an A3 poster.
_TOLERANCE = 1.0
_NOTHING, _MISSING = ".notdef", "□"
# A simple font begins with these, and whoever copies text from the document reads them as they are.
_ALWAYS = frozenset(chr(code) for code in range(0x20, 0x7F))


def typeface(characters: Iterable[str]) -> bytes:
    """A TrueType font that holds `characters` and ASCII, nothing else; the same bytes at any time. Characters
    that Noto Sans SC lacks are left out: see `writable`. One caller at a time."""
    noto = _noto()
    known, source = noto.getBestCmap(), noto.getGlyphSet()
    wanted = {ord(one): known[ord(one)] for one in _ALWAYS | set(characters) if ord(one) in known}
    names = [_NOTHING, *sorted(set(wanted.values()) - {_NOTHING})]
    glyphs, metrics = {}, {}
    for name in names:
        pen = TTGlyphPen(None)
        source[name].draw(Cu2QuPen(pen, _TOLERANCE, reverse_direction=True))
        glyphs[name] = pen.glyph()
        metrics[name] = source[name].width
    built = FontBuilder(noto["head"].unitsPerEm, isTTF=True)
    built.setupGlyphOrder(names)
    built.setupCharacterMap(wanted)
    built.setupGlyf(glyphs)
    left = built.font["glyf"]
    built.setupHorizontalMetrics({name: (metrics[name], getattr(left[name], "xMin", 0)) for name in names})
    built.setupHorizontalHeader(ascent=noto["hhea"].ascent, descent=noto["hhea"].descent)
    built.setupNameTable(
        {"familyName": "Noto Sans SC", "styleName": "Regular", "psName": "NotoSansSC-Regular"}, mac=False
    )
    built.setupOS2(sTypoAscender=noto["OS/2"].sTypoAscender, sTypoDescender=noto["OS/2"].sTypoDescender)
    built.setupPost(keepGlyphNames=False)
    built.updateHead(created=noto["head"].created, modified=noto["head"].modified)
    out = BytesIO()
    built.save(out)
    return out.getvalue()


def writable(text: str) -> str:
    """`text` with □ for each character that the font lacks (it has 30,890), so that whoever prints it sees
    that one is missing."""
    known = _noto().getBestCmap()
    return "".join(one if ord(one) in known else _MISSING for one in text)


@cache
def _noto() -> TTFont:
    """Opened once: reading its tables takes a third of a second."""
    return TTFont(sans_path(), lazy=True)
