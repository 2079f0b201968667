-- `start`, `..._start`, `active_from` and `asked_until` counted minutes since 1970, and count seconds now. How often bars come
-- here is said: every minute, as they did.

alter table history add column cadence text not null default '60s'
    check (cadence in ('1s', '5s', '10s', '15s', '30s', '60s'));

-- A key that changes row by row would meet its neighbour's: the rows move to a table of their own.
alter table bars rename to bars_by_minute;
create table bars (
    symbol   text not null,
    start    integer not null,
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
    primary key (symbol, start)
) strict, without rowid;
insert into bars (symbol, start, open, high, low, close, volume, vwap, trades, feed, revision, sequence, checksum)
select symbol, start * 60, open, high, low, close, volume, vwap, trades, feed, revision, sequence, checksum
from bars_by_minute order by symbol, start;
drop table bars_by_minute;
create index bars_by_sequence on bars (sequence);
create index bars_by_start on bars (start);

update quarantined_bars set start = start * 60;
update statistics set start = start * 60;
update splits set from_start = from_start * 60;
update feed_status set asked_until = asked_until * 60;
update subscriptions set active_from = active_from * 60 where active_from is not null;

-- One alert's new start may be another's old one.
drop index alerts_by_rule_symbol_metric;
update alerts set start = start * 60;
create unique index alerts_by_rule_symbol_metric on alerts (rule, symbol, metric, start);

-- What is no JSON stays, and is told as corrupt when it is read.
update alerts set evidence = json_set(evidence, '$.start', (evidence ->> '$.start') * 60)
where iif(json_valid(evidence), evidence ->> '$.type' = 'origin' and json_type(evidence, '$.start') = 'integer', false);

update alerts set occurrences = made.occurrences
from (
    select a.id as old, '{'
        || iif(json_type(a.occurrences, '$.folded') is null, '',
            '"folded":{"count":' || (a.occurrences ->> '$.folded.count') || ',"peak":' || (a.occurrences ->> '$.folded.peak')
            || ',"until":' || ((a.occurrences ->> '$.folded.until') * 60) || '},')
        || '"kept":' || (
            select json_group_array(json_array((one.value ->> 0) * 60, one.value ->> 1) order by one.key)
            from json_each(a.occurrences, '$.kept') one
        ) || '}' as occurrences
    from alerts a where json_valid(a.occurrences)
) as made
where id = made.old and json_valid(made.occurrences);
