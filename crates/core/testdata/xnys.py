"""Writes xnys_1990_2030.csv: every weekday that is not a full session, by two packages that know nothing of this project.

    pip install exchange_calendars==4.13.2 pandas_market_calendars==5.5.0
    python xnys.py > xnys_1990_2030.csv

They agree on every trading day of XNYS, NYSE and NASDAQ. The hours are those of exchange_calendars, which has them as they
were announced; pandas_market_calendars also has 15 days on which trading began late, stopped early, or closed at an hour
that is disputed (docs/adr/0021-calendar-since-1990.md).
"""

import exchange_calendars
import pandas as pd
import pandas_market_calendars

FIRST, LAST, ZONE = "1990-01-01", "2030-12-31", "America/New_York"

sessions = exchange_calendars.get_calendar("XNYS", start=FIRST, end=LAST).schedule
for name in ["NYSE", "NASDAQ"]:
    other = pandas_market_calendars.get_calendar(name).schedule(FIRST, LAST)
    assert list(sessions.index) == list(other.index), name
assert (sessions["open"].dt.tz_convert(ZONE).dt.strftime("%H:%M") == "09:30").all()
closes = sessions["close"].dt.tz_convert(ZONE).dt.strftime("%H:%M")

print("date,close")
for day in pd.bdate_range(FIRST, LAST):
    close = closes.get(day, "")
    if close != "16:00":
        print(f"{day.date()},{close}")
