"""Whether requests are signed soundly, as the official library of Standard Webhooks sees it.

    verify_webhook.py < REQUEST

REQUEST is {"secrets": [...], "headers": {...}, "body": "..."}. Answers, for each secret, whether it verifies the request,
and how many bodies with one character changed it verifies: {"verified": [...], "forged": 0, "tried": n}.
"""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def verifies(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


request = json.load(sys.stdin)
secrets, headers, body = request["secrets"], request["headers"], request["body"]
changed = [body[:at] + chr(ord(body[at]) ^ 1) + body[at + 1 :] for at in range(len(body))]
changed += [body + " ", body[:-1], ""]
print(
    json.dumps(
        {
            "verified": [verifies(secret, body, headers) for secret in secrets],
            "forged": sum(verifies(secrets[0], other, headers) for other in changed),
            "tried": len(changed),
        }
    )
)
