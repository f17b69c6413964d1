"""A container's health check: `python -m lianxin_chassis.alive` asks the process here whether it lives."""

import os
import sys
from urllib.request import ProxyHandler, build_opener

PATIENCE_S = 2.0


def alive(port: int) -> bool:
    """Whether `/livez` answers 200 on the loopback's `port` within two seconds."""
    # Never through a proxy that the environment names: what is asked is here.
    asking = build_opener(ProxyHandler({}))
    try:
        with asking.open(f"http://127.0.0.1:{port}/livez", timeout=PATIENCE_S) as answer:
            return bool(answer.status == 200)
    except OSError:  # refused, timed out, or another status: URLError is one
        return False


if __name__ == "__main__":
    sys.exit(0 if alive(int(os.environ["LIANXIN_HTTP_PORT"])) else 1)
