-- A share class has one spelling, `BRK.B`. Before, `BRK-B` was another symbol, and files may hold rows of it: one or two
-- letters behind the only dash. Where the same minute, split or wish is there in both spellings, the listed one stays.

create table respelled as
select symbol as was, replace(symbol, '-', '.') as listed
from (
    select symbol from bars
    union select symbol from statistics
    union select symbol from splits
    union select symbol from alerts
    union select symbol from subscriptions
)
where (symbol glob '*-[A-Z]' or symbol glob '*-[A-Z][A-Z]')
    and length(replace(replace(symbol, '-', ''), '.', '')) = length(symbol) - 1;

update or ignore bars set symbol = (select listed from respelled where was = symbol)
where symbol in (select was from respelled);
delete from bars where symbol in (select was from respelled);

update or ignore statistics set symbol = (select listed from respelled where was = symbol)
where symbol in (select was from respelled);
delete from statistics where symbol in (select was from respelled);

update or ignore splits set symbol = (select listed from respelled where was = symbol)
where symbol in (select was from respelled);
delete from splits where symbol in (select was from respelled);

-- Ids stay: a known alert is found by its minute.
update or ignore alerts set symbol = (select listed from respelled where was = symbol)
where symbol in (select was from respelled);

update or ignore subscriptions set symbol = (select listed from respelled where was = symbol)
where symbol in (select was from respelled);
update subscriptions
set (symbol, status, ended_at) = (
    (select listed from respelled where was = symbol), 'unsubscribed', cast(strftime('%s', 'now') as integer) * 1000000
)
where symbol in (select was from respelled);

drop table respelled;
