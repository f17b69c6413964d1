"""One stack for all files of this folder: starting it takes longer than most of what is tested on it. What is
here leaves the stack running and whole, and looks only at what it has said itself."""

from collections.abc import Iterator

import pytest

from tests.support.stacks import LocalStack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The stack; it goes before the files of the next folder begin."""
    # A rebuilt generation goes live this soon after it has caught up: nobody here looks at the one before.
    whole = LocalStack(tmp_path_factory.mktemp("one-stack"), env={"LIANXIN_REBUILD_HANDOVER_S": "1"})
    try:
        whole.up()
        yield whole
    finally:
        whole.remove()
