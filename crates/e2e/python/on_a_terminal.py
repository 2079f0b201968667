"""Runs a command with its standard error on a terminal and prints, escaped, what came there."""

import os
import pty
import subprocess
import sys

mine, its = pty.openpty()
command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=its)
os.close(its)
said = b""
while True:
    try:
        piece = os.read(mine, 4096)
    except OSError:  # the other end is closed
        break
    if not piece:
        break
    said += piece
print(ascii(said.decode("utf-8", "replace")))
sys.exit(command.wait())
