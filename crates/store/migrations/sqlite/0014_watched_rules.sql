-- Which rules are a subscriber's own, and when what they watch changes, is known to the program: no trigger and no index
-- reads a rule's text.
drop trigger watch_begun;
drop trigger watch_changed;
drop trigger watch_ended;
drop index subscriptions_watched;

alter table subscriptions add column own_rule integer not null default 0 check (own_rule in (0, 1));
update subscriptions set own_rule = (rule <> 'spike');
create index subscriptions_watched on subscriptions (symbol, metric, rule) where status = 'active' and own_rule = 1;

-- What messages to one receiver are counted by, however its address is spelt.
drop index subscriptions_by_mailbox;
alter table subscriptions rename column mailbox to throttle_key;
create index subscriptions_by_throttle_key on subscriptions (throttle_key);
