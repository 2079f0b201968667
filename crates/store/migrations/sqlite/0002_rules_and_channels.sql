-- Alerts name any rule and keep its evidence; subscriptions have a channel, a rule, quiet hours and a pause;
-- deliveries may be brought together. SQLite cannot change a table's checks, so all three tables are made anew.
-- What refers to others goes aside first, without its references: a table that is referred to cannot be dropped.

create table deliveries_before as select * from deliveries;

drop table deliveries;

alter table alerts rename to alerts_before;

-- `rule` is the house rule's name or an own rule's canonical text; `evidence` is `1;average;SUM;BARS` and the like.
create table alerts (
    id          text not null primary key,
    rule        text not null,
    symbol      text not null,
    metric      text not null check (metric in ('price', 'volume')),
    start       integer not null,
    value       integer not null,
    evidence    text not null,
    feed        text not null,
    revision    integer not null check (revision >= 0),
    state       text not null check (state in ('raised', 'retracted')),
    raised_at   integer not null,
    occurrences text not null,
    sequence    integer not null
) strict, without rowid;

insert into alerts
select id, rule, symbol, metric, start, value, '1;average;' || window_sum || ';' || window_bars, feed, revision,
    state, raised_at, occurrences, sequence
from alerts_before;

drop table alerts_before;

-- Each combination of filters has its index, in the order of the list. The first holds each alert to one minute.
create unique index alerts_by_rule_symbol_metric on alerts (rule, symbol, metric, start);
create index alerts_by_rule_symbol on alerts (rule, symbol, start, id);
create index alerts_by_rule_metric on alerts (rule, metric, start, id);
create index alerts_by_rule on alerts (rule, start, id);
create index alerts_by_symbol_metric on alerts (symbol, metric, start, id);
create index alerts_by_symbol on alerts (symbol, start, id);
create index alerts_by_metric on alerts (metric, start, id);
create index alerts_by_start on alerts (start, id);
create index alerts_by_sequence on alerts (sequence);

alter table subscriptions rename to subscriptions_before;

-- `address` is what a recipient is known by, `address_hash` its SHA-256, `mailbox` what throttles count by: for mail
-- the lower-case address, and the same without its tag; for a webhook its URL, and the same without the query.
-- `receiver` is where to, as given; `format` whose words a webhook's requests are in. `paused_until` is the last moment
-- there is where nobody said when the pause ends.
create table subscriptions (
    id                text not null primary key,
    channel           text not null check (channel in ('email', 'webhook')),
    receiver          text not null,
    format            text,
    address           text not null,
    address_hash      blob not null check (length(address_hash) = 32),
    mailbox           text not null,
    symbol            text not null,
    metric            text not null check (metric in ('price', 'volume')),
    rule              text not null,
    status            text not null check (status in ('pending', 'active', 'unsubscribed', 'disabled')),
    created_at        integer not null,
    confirm_by        integer,
    active_from       integer,
    ended_at          integer,
    quiet             text,
    paused_until      integer,
    secret_generation integer not null default 0 check (secret_generation >= 0),
    secret_rotated_at integer,
    nonce             blob not null check (length(nonce) = 16),
    confirm_hash      blob not null unique check (length(confirm_hash) = 32),
    unsubscribe_hash  blob not null unique check (length(unsubscribe_hash) = 32),
    manage_hash       blob not null unique check (length(manage_hash) = 32),
    asked             integer not null default 0 check (asked >= 0),
    confirmations     integer not null default 0 check (confirmations >= 0),
    check ((channel = 'webhook') = (format is not null)),
    check (status <> 'pending' or (active_from is null and confirm_by is not null)),
    check (status <> 'active' or active_from is not null),
    check ((status in ('unsubscribed', 'disabled')) = (ended_at is not null)),
    check ((secret_generation > 0) = (secret_rotated_at is not null))
) strict, without rowid;

insert into subscriptions
select id, 'email', email, null, address, address_hash, mailbox, symbol, metric, 'spike', status, created_at,
    confirm_by, active_from, ended_at, null, null, 0, null, nonce, confirm_hash, unsubscribe_hash, manage_hash, asked,
    confirmations
from subscriptions_before;

drop table subscriptions_before;

-- One wish, one subscription.
create unique index subscriptions_live on subscriptions (address, symbol, metric, rule) where ended_at is null;
create index subscriptions_active on subscriptions (symbol, metric, rule, active_from) where status = 'active';
create index subscriptions_watched on subscriptions (symbol, metric, rule) where status = 'active' and rule <> 'spike';
create index subscriptions_by_address on subscriptions (address);
create index subscriptions_by_mailbox on subscriptions (mailbox);
create index subscriptions_pending on subscriptions (confirm_by) where status = 'pending';
create index subscriptions_ended on subscriptions (ended_at) where ended_at is not null;

-- Counts the changes of what own rules are watched: the worker asks before every step whether there are any.
create table watch_version (
    one     integer primary key check (one = 1),
    version integer not null check (version >= 0)
) strict;

insert into watch_version (one, version) values (1, 0);

create trigger watch_begun after insert on subscriptions when new.status = 'active' and new.rule <> 'spike' begin
    update watch_version set version = version + 1;
end;

create trigger watch_changed after update of status, rule on subscriptions
when (new.status, new.rule) <> (old.status, old.rule)
    and ((new.status = 'active' and new.rule <> 'spike') or (old.status = 'active' and old.rule <> 'spike'))
begin
    update watch_version set version = version + 1;
end;

create trigger watch_ended after delete on subscriptions when old.status = 'active' and old.rule <> 'spike' begin
    update watch_version set version = version + 1;
end;

-- `address_hash` is that of the subscription: whom it goes to. `attempts` counts the claims and is the lease: only the
-- latest claim may settle. `lease_until` is set while an attempt is under way, and stays set when its holder dies.
-- `held` is an alert that has to wait for the end of quiet hours or for room in the budget, `bundled` one that went into
-- the digest `digest`.
create table deliveries (
    id           text not null primary key,
    kind         text not null check (kind in ('confirmation', 'alert', 'retraction', 'digest')),
    subscription text not null references subscriptions (id),
    address_hash blob not null check (length(address_hash) = 32),
    alert        text references alerts (id),
    digest       text references deliveries (id) on delete cascade,
    state        text not null
        check (state in ('pending', 'sent', 'failed', 'expired', 'cancelled', 'bundled')),
    created_at   integer not null,
    expires_at   integer not null,
    due_at       integer not null,
    held         integer not null default 0 check (held in (0, 1)),
    lease_until  integer,
    attempts     integer not null default 0 check (attempts >= 0),
    settled_at   integer,
    reason       text,
    check ((kind in ('confirmation', 'digest')) = (alert is null)),
    check ((state = 'bundled') = (digest is not null)),
    check ((state = 'pending') = (settled_at is null)),
    check (held = 0 or (kind = 'alert' and state = 'pending' and attempts = 0)),
    check (lease_until is null or (state = 'pending' and attempts > 0))
) strict, without rowid;

insert into deliveries
select d.id, d.kind, d.subscription, s.address_hash, d.alert, null, d.state, d.created_at, d.expires_at, d.due_at, 0,
    d.lease_until, d.attempts, d.settled_at, d.reason
from deliveries_before d join subscriptions s on s.id = d.subscription;

drop table deliveries_before;

create index deliveries_due on deliveries (coalesce(lease_until, due_at), id, address_hash) where state = 'pending';
create index deliveries_under_way on deliveries (address_hash, lease_until, kind) where lease_until is not null;
create index deliveries_by_subscription on deliveries (subscription);
create index deliveries_by_alert on deliveries (alert) where alert is not null;
create index deliveries_by_digest on deliveries (digest) where digest is not null;
create index deliveries_by_state on deliveries (state, created_at);
create index deliveries_by_recipient on deliveries (address_hash, state, created_at);
create index deliveries_answered on deliveries (address_hash, settled_at, state, kind)
    where state in ('sent', 'failed');
create index deliveries_settled on deliveries (settled_at) where state <> 'pending';
create index deliveries_confirming on deliveries (created_at) where kind = 'confirmation';

-- The counts are those of the same deliveries.
insert into delivery_counts (state, deliveries) values ('bundled', 0);

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
