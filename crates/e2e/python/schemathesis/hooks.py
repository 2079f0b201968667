"""What a test of the API's description must know about the one server it runs against.

TICKERS and TOKENS, in the environment, are comma-separated lists of what that server knows.
"""

import os
import random

import schemathesis


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """The description cannot name what a server tracks and whom it mails: here it can, so that requests find it."""
    schemas = raw_schema["components"]["schemas"]
    schemas["Ticker"] = {"type": "string", "enum": os.environ["TICKERS"].split(",")}
    tokens = os.environ["TOKENS"].split(",")
    for path, item in raw_schema["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "token":
                    parameter["schema"] = {"type": "string", "enum": tokens}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every request comes from a network of its own, as the proxy in front says: limits per network are tested
    elsewhere and would hide everything behind them here."""
    case.headers = case.headers or {}
    network = f"{random.randrange(0x10000):x}:{random.randrange(0x10000):x}"
    case.headers["x-forwarded-for"] = f"2001:db8:{network}::1"
