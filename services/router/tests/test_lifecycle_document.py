"""docs/lifecycle.md says what the code does: the table of stages, the clocks, and every code of a refusal."""

import re
from pathlib import Path

from lianxin_router.domain.clocks import ORDER
from lianxin_router.domain.lifecycle_table import ALLOWED, ANY

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "lifecycle.md").read_text("utf-8")
DOMAIN = ROOT / "services" / "router" / "lianxin_router" / "domain"


def the_table() -> str:
    lines = [f"| command | {' | '.join(ANY)} |", f"|---|{'---|' * len(ANY)}"]
    for command, stages in ALLOWED.items():
        cells = ("yes" if stage in stages else "" for stage in ANY)
        lines.append(f"| `{command}` | {' | '.join(cells)} |")
    return "\n".join(line.replace("  ", " ") for line in lines)


def test_the_document_prints_the_table_of_stages_and_commands() -> None:
    assert the_table() in DOCUMENT, f"put this into docs/lifecycle.md:\n{the_table()}"


def test_the_document_explains_every_clock() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| (?!yes|\|)", DOCUMENT, re.M))
    assert set(ORDER) <= rows


def test_the_document_lists_every_code_of_a_refusal_and_no_other() -> None:
    source = "".join(path.read_text("utf-8") for path in sorted(DOMAIN.glob("*.py")))
    used = set(re.findall(r'refused\(\s*"(\w+)"', source))
    used |= {"already_submitted", "idempotency_conflict"}  # chosen in one expression
    used |= {
        "closed",
        "not_yet_resolved",
        "already_resolved",
        "already_accepted",
        "not_yet_accepted",
        "not_assigned",
    }
    listed = set(re.findall(r"`(\w+)`", DOCUMENT.split("## Refusals")[1]))
    assert listed - {"field"} == used
