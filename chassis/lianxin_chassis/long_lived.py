"""What lives as long as the process is kept out of garbage collection."""

import gc


def keep_out_of_collection() -> None:
    """Have later collections pass over everything that is alive now; to be called when a city is in force.

    A city is some hundred thousand objects. Each full collection would walk them all, about a tenth of a
    second in which nothing else of the process runs, and find nothing. What was kept out before is collected
    once more first, so that the city before this one goes.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
