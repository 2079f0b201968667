-- Times: `start` and `..._from` count minutes, the wall times `..._at`, `..._by`, `..._until` and `clock` count
-- microseconds, all since 1970-01-01T00:00Z. Prices count 1e-9 dollars, volumes shares. Ids are UUIDs as text.
-- `sequence` is the commit that last changed the row.

-- "QQQT": tells our files from those of other programs.
pragma application_id = 0x51515154;

create table history (
    one      integer primary key check (one = 1),
    sequence integer not null check (sequence >= 0)
) strict;

insert into history (one, sequence) values (1, 0);

-- Has no sequence: the feed's clock moves with every commit and is no reason to render anything again.
create table feed_status (
    one         integer primary key check (one = 1),
    provider    text not null,
    label       text not null,
    mode        text not null check (mode in ('live', 'simulated', 'replayed')),
    coverage    text not null,
    clock       integer not null,
    answered_at integer,
    problem     text
) strict;

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
    primary key (symbol, start)
) strict, without rowid;

create index bars_by_sequence on bars (sequence);
create index bars_by_start on bars (start);

create table statistics (
    symbol                  text not null primary key,
    start                   integer not null,
    feed                    text not null,
    price_stdev             real,
    price_relative_stdev    real,
    price_trailing_average  real,
    price_ratio             real,
    price_window_bars       integer not null check (price_window_bars >= 0),
    volume_stdev            real,
    volume_relative_stdev   real,
    volume_trailing_average real,
    volume_ratio            real,
    volume_window_bars      integer not null check (volume_window_bars >= 0),
    sequence                integer not null
) strict, without rowid;

create index statistics_by_sequence on statistics (sequence);

create table splits (
    symbol     text not null,
    ex_date    text not null,
    new        integer not null check (new > 0),
    old        integer not null check (old > 0),
    from_start integer not null,
    primary key (symbol, ex_date)
) strict, without rowid;

create table alerts (
    id          text not null primary key,
    rule        text not null,
    symbol      text not null,
    metric      text not null check (metric in ('price', 'volume')),
    start       integer not null,
    value       integer not null,
    window_sum  integer not null,
    window_bars integer not null check (window_bars >= 0),
    feed        text not null,
    revision    integer not null check (revision >= 0),
    state       text not null check (state in ('raised', 'retracted')),
    raised_at   integer not null,
    occurrences text not null,
    sequence    integer not null,
    unique (rule, symbol, metric, start)
) strict, without rowid;

create index alerts_by_start on alerts (start, id);
create index alerts_by_symbol on alerts (symbol, start, id);
create index alerts_by_metric on alerts (metric, start, id);
create index alerts_by_symbol_and_metric on alerts (symbol, metric, start, id);
create index alerts_by_sequence on alerts (sequence);

-- `address` is the lower-case address, `mailbox` the same without its tag: what throttles count by.
create table subscriptions (
    id               text not null primary key,
    email            text not null,
    address          text not null,
    address_hash     blob not null check (length(address_hash) = 32),
    mailbox          text not null,
    symbol           text not null,
    metric           text not null check (metric in ('price', 'volume')),
    status           text not null check (status in ('pending', 'active', 'unsubscribed')),
    created_at       integer not null,
    confirm_by       integer,
    active_from      integer,
    ended_at         integer,
    nonce            blob not null check (length(nonce) = 16),
    confirm_hash     blob not null unique check (length(confirm_hash) = 32),
    unsubscribe_hash blob not null unique check (length(unsubscribe_hash) = 32),
    manage_hash      blob not null unique check (length(manage_hash) = 32),
    asked            integer not null default 0 check (asked >= 0),
    confirmations    integer not null default 0 check (confirmations >= 0),
    check (status <> 'pending' or (active_from is null and confirm_by is not null)),
    check (status <> 'active' or active_from is not null),
    check ((status = 'unsubscribed') = (ended_at is not null))
) strict, without rowid;

-- One wish, one subscription.
create unique index subscriptions_live on subscriptions (address, symbol, metric)
    where status <> 'unsubscribed';
create index subscriptions_active on subscriptions (symbol, metric, active_from) where status = 'active';
create index subscriptions_by_address on subscriptions (address);
create index subscriptions_by_mailbox on subscriptions (mailbox);
create index subscriptions_pending on subscriptions (confirm_by) where status = 'pending';
create index subscriptions_ended on subscriptions (ended_at) where status = 'unsubscribed';

-- SHA-256 of lower-case addresses that must not be written to, for 30 days from `created_at`.
create table suppressions (
    address_hash blob not null primary key check (length(address_hash) = 32),
    reason       text not null,
    created_at   integer not null
) strict, without rowid;

create index suppressions_by_age on suppressions (created_at);

-- `attempts` counts the claims and is the lease: only the latest claim may settle. `lease_until` is set while
-- an attempt is under way, and stays set when its holder dies.
create table deliveries (
    id           text not null primary key,
    kind         text not null check (kind in ('confirmation', 'alert', 'retraction')),
    subscription text not null references subscriptions (id),
    alert        text references alerts (id),
    state        text not null check (state in ('pending', 'sent', 'failed', 'expired', 'cancelled')),
    created_at   integer not null,
    expires_at   integer not null,
    due_at       integer not null,
    lease_until  integer,
    attempts     integer not null default 0 check (attempts >= 0),
    settled_at   integer,
    reason       text,
    check ((kind = 'confirmation') = (alert is null)),
    check ((state = 'pending') = (settled_at is null)),
    check (lease_until is null or (state = 'pending' and attempts > 0))
) strict, without rowid;

create index deliveries_due on deliveries (coalesce(lease_until, due_at)) where state = 'pending';
create index deliveries_by_subscription on deliveries (subscription);
create index deliveries_by_alert on deliveries (alert) where alert is not null;
create index deliveries_pending on deliveries (created_at) where state = 'pending';
create index deliveries_answered on deliveries (subscription, settled_at, state) where state in ('sent', 'failed');
create index deliveries_settled on deliveries (settled_at) where state <> 'pending';
create index deliveries_confirming on deliveries (created_at) where kind = 'confirmation';

-- How many deliveries are in each state: counting them would take longer every day.
create table delivery_counts (
    state      text not null primary key,
    deliveries integer not null check (deliveries >= 0)
) strict, without rowid;

insert into delivery_counts (state, deliveries)
values ('pending', 0), ('sent', 0), ('failed', 0), ('expired', 0), ('cancelled', 0);

create trigger delivery_owed after insert on deliveries begin
    update delivery_counts set deliveries = deliveries + 1 where state = new.state;
end;

create trigger delivery_ended after update of state on deliveries when new.state <> old.state begin
    update delivery_counts set deliveries = deliveries - 1 where state = old.state;
    update delivery_counts set deliveries = deliveries + 1 where state = new.state;
end;

create trigger delivery_forgotten after delete on deliveries begin
    update delivery_counts set deliveries = deliveries - 1 where state = old.state;
end;

create table notes (
    name text not null primary key,
    text text not null
) strict, without rowid;
