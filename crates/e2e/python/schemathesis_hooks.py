"""What a test of the API's description must know about the one server it runs against.

From the environment: TICKERS, comma-separated; CONFIRM_TOKEN and UNSUBSCRIBE_TOKEN of two subscriptions, so that
ending the one does not end the other.
"""

import itertools
import os

import schemathesis

NETWORKS = itertools.count()


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """The description cannot name what a server tracks and whom it mails: here it can, so that requests find it."""
    schemas = raw_schema["components"]["schemas"]
    schemas["Ticker"] = {"type": "string", "enum": os.environ["TICKERS"].split(",")}
    for action in ("confirm", "unsubscribe"):
        for operation in raw_schema["paths"][f"/v1/subscriptions/{action}"].values():
            [token] = operation["parameters"]
            token["schema"] = {"type": "string", "enum": [os.environ[f"{action.upper()}_TOKEN"]]}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every request comes from a network of its own, as the proxy in front says: limits per network are tested
    elsewhere and would hide everything behind them here."""
    case.headers = case.headers or {}
    network = next(NETWORKS)
    case.headers["x-forwarded-for"] = f"2001:db8:{network >> 16:x}:{network & 0xffff:x}::1"
