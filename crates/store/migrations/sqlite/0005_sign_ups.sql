-- Sign-ups as they come, in their order: what a client waits for is this one row. The worker takes them in. `address` is
-- what the recipient will be known by, `domain` what the places are counted by.
create table sign_ups (
    place            integer primary key,
    id               text not null,
    channel          text not null check (channel in ('email', 'webhook')),
    receiver         text not null,
    format           text,
    address          text not null,
    domain           text not null,
    symbol           text not null,
    metric           text not null check (metric in ('price', 'volume')),
    rule             text not null,
    quiet            text,
    nonce            blob not null check (length(nonce) = 16),
    confirm_hash     blob not null check (length(confirm_hash) = 32),
    unsubscribe_hash blob not null check (length(unsubscribe_hash) = 32),
    manage_hash      blob not null check (length(manage_hash) = 32),
    asked_at         integer not null,
    check ((channel = 'webhook') = (format is not null))
) strict;

-- Messages that ask to confirm and wait for their turn: one of each mail address, which is about all that is pending
-- there, and one of each subscription by webhook, which alone tells its secret. When it goes out, it becomes a delivery.
create table confirmations_waiting (
    place        integer primary key,
    subscription text not null unique references subscriptions (id) on delete cascade,
    address      text not null,
    domain       text not null,
    asked_at     integer not null,
    not_before   integer not null
) strict;

create index confirmations_waiting_of_address on confirmations_waiting (address);
create index confirmations_waiting_of_domain on confirmations_waiting (domain);
create index confirmations_waiting_by_age on confirmations_waiting (asked_at);
create index confirmations_waiting_due on confirmations_waiting (not_before, place);
