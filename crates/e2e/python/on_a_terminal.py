"""Runs a command with its standard error on a terminal and prints, escaped, what came there.

With --answer LINE before the command, its standard input is on that terminal too, and the line is typed in once it has
said something.
"""

import os
import pty
import subprocess
import sys

arguments = sys.argv[1:]
answer = None
if arguments[0] == "--answer":
    answer = arguments[1].encode() + b"\n"
    arguments = arguments[2:]
mine, its = pty.openpty()
stdin = subprocess.DEVNULL if answer is None else its
command = subprocess.Popen(arguments, stdin=stdin, stdout=subprocess.DEVNULL, stderr=its)
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
    if answer is not None:
        os.write(mine, answer)
        answer = None
print(ascii(said.decode("utf-8", "replace")))
sys.exit(command.wait())
