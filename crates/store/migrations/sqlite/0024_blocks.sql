-- Bars of closed sessions lie in blocks (docs/blocks.md), a symbol's of a day in one; those of the open session stay rows,
-- now in the order in which they come. A bar is in a row or in a block, and no row lies within a block's span. What is there
-- moves into blocks later, a little at a time, as any session that has closed.

create table blocks (
    symbol          text not null,
    first           integer not null,
    last            integer not null check (last >= first),
    bars            integer not null check (bars > 0),
    newest_sequence integer not null,
    data            blob not null,
    unique (symbol, first)
) strict;
create index blocks_by_last on blocks (last);
create index blocks_by_sequence on blocks (newest_sequence);

alter table bars rename to bars_by_symbol;
create table bars (
    start    integer not null,
    symbol   text not null,
    open     integer not null check (open > 0),
    high     integer not null check (high > 0),
    low      integer not null check (low > 0),
    close    integer not null check (close > 0),
    volume   integer not null check (volume >= 0),
    vwap     integer check (vwap > 0),
    trades   integer check (trades >= 0),
    feed     text not null,
    revision integer not null check (revision >= 0),
    sequence integer not null,
    checksum integer not null default -1,
    primary key (start, symbol)
) strict, without rowid;
insert into bars (start, symbol, open, high, low, close, volume, vwap, trades, feed, revision, sequence, checksum)
select start, symbol, open, high, low, close, volume, vwap, trades, feed, revision, sequence, checksum
from bars_by_symbol order by start, symbol;
drop table bars_by_symbol;
-- Where a commit's bars stand for who reads on: with the key, by (sequence, symbol, start).
create index bars_by_sequence on bars (sequence, symbol);
