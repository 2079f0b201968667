"""What a test of the API's description must know about the one server it runs against.

From the environment: TICKERS, comma-separated; CONFIRM_TOKEN, UNSUBSCRIBE_TOKEN, MANAGE_TOKEN and SNOOZE_TOKEN of subscriptions, so that
ending the one does not end the other; KEPT and ENDED, each the id and the managing token of one, with a colon between; MINE
and ERASED, each the id of one, the session of its receiver, and the id of another of theirs, to be ended.
"""

import datetime
import itertools
import os

import schemathesis

NETWORKS = itertools.count()
KEPT = os.environ["KEPT"].split(":")
ENDED = os.environ["ENDED"].split(":")
MINE = os.environ["MINE"].split(":")
ERASED = os.environ["ERASED"].split(":")

# Of what fields say together a schema knows nothing: these suit both metrics, each other, and the bars that there are.
RULES = [
    "spike",
    "v1 zscore z=2.5 window=30m min_bars=10 cooldown=0s",
    {"kind": "spike", "ratio": 2.5, "window": "45m", "trigger": "edge", "rearm": 1.5},
    {"kind": "cross", "above": 1000, "session": "regular"},
]
TODAY = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def day(days):
    return (TODAY - datetime.timedelta(days=days)).isoformat().replace("+00:00", "Z")


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """The description cannot name what a server tracks, how often and whom it tells: here it can, so that requests find it."""
    schemas = raw_schema["components"]["schemas"]
    schemas["Ticker"] = {"type": "string", "enum": os.environ["TICKERS"].split(",")}
    tickers = {"type": "array", "items": schemas["Ticker"], "minItems": 1, "maxItems": 200}
    # Alone, the watchlist may stand in a list, too.
    watchlist = {"type": "string", "enum": ["*"]}
    alone = {"type": "array", "items": watchlist, "minItems": 1, "maxItems": 1}
    schemas["Symbols"] = {"oneOf": [watchlist, alone, tickers]}
    # One of three fields must be given, which the description says in words.
    for name in ["MailSubscriptionIn", "WebhookSubscriptionIn", "PushSubscriptionIn", "OwnSubscriptionIn"]:
        properties = schemas[name]["properties"]
        del properties["ticker"], properties["symbol"]
        properties["symbols"] = {"$ref": "#/components/schemas/Symbols"}
        schemas[name]["required"].append("symbols")
    schemas["RuleIn"] = {"enum": RULES}
    schemas["QuietHours"]["properties"] = {
        "from": {"type": "string", "enum": ["22:00"]},
        "to": {"type": "string", "enum": ["07:00", "21:30"]},
        "zone": {"type": "string", "enum": ["Europe/Berlin", "America/New_York"]},
    }
    # With all that any format wants in it.
    schemas["WebhookSubscriptionIn"]["properties"]["url"] = {"type": "string", "enum": ["https://hooks.example.com/a?chat_id=1&token=a&user=b"]}
    # A pattern does not say which points lie on a curve: of RFC 8291, appendix A.
    schemas["PushKeys"]["properties"] = {
        "p256dh": {"enum": ["BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"]},
        "auth": {"enum": ["BTBZMqHH6r4Tts7J_aSIgg"]},
    }
    schemas["PushSubscription"]["properties"]["endpoint"] = {"enum": ["https://push.example.net/push/JzLQ3raZJfFBR0aq"]}
    schemas["SubscriptionChange"]["properties"]["paused_until"] = {"enum": [None, "resumed", day(-1)]}
    schemas["BacktestIn"]["properties"]["from"] = {"enum": [None, day(40)]}
    schemas["BacktestIn"]["properties"]["to"] = {"enum": [None, day(1)]}
    [interval] = [one for one in raw_schema["paths"]["/v1/symbols/{symbol}/bars"]["get"]["parameters"] if one["name"] == "interval"]
    interval["schema"] = {"type": "string", "enum": ["1m", "5m", "15m", "1h", "1d"]}
    [rule] = [one for one in raw_schema["paths"]["/v1/alerts"]["get"]["parameters"] if one["name"] == "rule"]
    rule["schema"] = {"type": "string", "enum": ["spike", "v1 cross above=1000"]}
    for parameter in raw_schema["paths"]["/v1/sessions"]["get"]["parameters"]:
        days = {"from": [30, 1], "to": [1, 0, -20]}[parameter["name"]]
        parameter["schema"] = {"type": "string", "enum": [day(one)[:10] for one in days]}
    for action, purpose in (("confirm", "CONFIRM"), ("unsubscribe", "UNSUBSCRIBE"), ("manage", "MANAGE"), ("snooze", "SNOOZE")):
        for operation in raw_schema["paths"][f"/v1/subscriptions/{action}"].values():
            [token] = [one for one in operation["parameters"] if one["name"] == "token"]
            token["schema"] = {"type": "string", "enum": [os.environ[f"{purpose}_TOKEN"]]}
    for method, operation in raw_schema["paths"]["/v1/me/subscriptions/{id}"].items():
        [id] = [one for one in operation["parameters"] if one["name"] == "id"]
        id["schema"] = {"type": "string", "enum": [MINE[2 if method == "delete" else 0]]}
    for path in ("/v1/subscriptions/{id}", "/v1/subscriptions/{id}/secret", "/v1/subscriptions/{id}/alerts"):
        for method, operation in raw_schema["paths"][path].items():
            held = ENDED if method == "delete" else KEPT
            [id] = [one for one in operation["parameters"] if one["name"] == "id"]
            id["schema"] = {"type": "string", "enum": [held[0]]}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every request comes from a network of its own and from a /48 of its own, as the proxy in front says: limits per
    network are tested elsewhere and would hide everything behind them here. One subscription is there to be ended."""
    case.headers = case.headers or {}
    network = next(NETWORKS)
    case.headers["x-forwarded-for"] = f"2001:{0xdb8 + (network >> 16):x}:{network & 0xffff:x}::1"


@schemathesis.auth()
class OfSubscription:
    """The bearer token of the subscription that a path names."""

    def get(self, case, context):
        return {"DELETE": ENDED[1]}

    def set(self, case, data, context):
        if case.path.startswith(("/v1/me", "/v1/watchlist", "/v1/deliveries")):
            # What is erased has nothing that could be asked for.
            erases = case.path == "/v1/me" and case.method.upper() == "DELETE"
            case.headers = case.headers or {}
            case.headers["Sec-Fetch-Site"] = "same-origin"
            case.cookies = {"qqq_session": (ERASED if erases else MINE)[1]}
        elif "{id}" in case.path:
            case.headers = case.headers or {}
            case.headers["Authorization"] = f"Bearer {data.get(case.method.upper(), KEPT[1])}"
