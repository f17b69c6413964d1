"""Takes a test's stack down when the pipe from the test process closes, which also its death does."""

import subprocess
import sys
import time

lianxin, directory = sys.argv[1:]
sys.stdin.buffer.read()
deadline = time.monotonic() + 300
while True:
    done = subprocess.run([lianxin, "--data", directory, "down"], capture_output=True, text=True, check=False)
    # An `up` that outlived the test process has the stack until it has ended.
    if "another lianxin" not in done.stderr or time.monotonic() > deadline:
        break
    time.sleep(1)
