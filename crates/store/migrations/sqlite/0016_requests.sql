-- A request is one row, however many symbols it names, so that it is taken in and counted as one: `wishes` is the list of what
-- it asks for, as JSON, hashes and nonces in hexadecimal. Where `symbol` of a subscription is `*`, it is about the watchlist.
alter table sign_ups rename to sign_ups_before;

create table sign_ups (
    place    integer primary key,
    channel  text not null check (channel in ('email', 'webhook')),
    receiver text not null,
    format   text,
    address  text not null,
    domain   text not null,
    wishes   text not null check (json_valid(wishes)),
    asked_at integer not null,
    check ((channel = 'webhook') = (format is not null))
) strict;

insert into sign_ups
select place, channel, receiver, format, address, domain,
    json_array(json_object(
        'id', id, 'scope', symbol, 'metric', metric, 'rule', rule, 'quiet', quiet, 'nonce', lower(hex(nonce)),
        'confirm', lower(hex(confirm_hash)), 'unsubscribe', lower(hex(unsubscribe_hash)),
        'manage', lower(hex(manage_hash))
    )),
    asked_at
from sign_ups_before;

drop table sign_ups_before;
