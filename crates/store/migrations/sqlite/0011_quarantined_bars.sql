-- Bars that wait for another one to confirm them: they are part of what the worker knows, and outlive it.
create table quarantined_bars (
    symbol   text primary key,
    start    integer not null,
    open     integer not null,
    high     integer not null,
    low      integer not null,
    close    integer not null,
    volume   integer not null,
    vwap     integer,
    trades   integer,
    feed     text not null,
    revision integer not null,
    checksum integer not null,
    sequence integer not null
) strict, without rowid;
