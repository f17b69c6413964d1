"""Takes a test's stack down when the pipe from the test process closes, which also its death does."""

import subprocess
import sys

lianxin, directory = sys.argv[1:]
sys.stdin.buffer.read()
subprocess.run([lianxin, "--data", directory, "down"], capture_output=True, check=False)
