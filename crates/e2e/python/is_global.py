"""Whether addresses are globally reachable, as Python's standard library sees it: one a line in, 0 or 1 a line out."""

import ipaddress
import sys

for line in sys.stdin:
    print(int(ipaddress.ip_address(line.strip()).is_global))
