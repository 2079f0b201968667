-- Metrics beside price and volume. A column's check cannot be changed, so each column gives way to one of its name
-- without it; what an index stands on it goes meanwhile.

drop index alerts_by_rule_symbol_metric;
drop index public_alerts_by_metric;
drop index public_alerts_by_symbol_metric;
drop index public_alerts_by_rule_metric;
drop index private_alerts_by_rule_metric;
drop index private_alerts_by_rule_symbol_metric;

alter table alerts add column any_metric text not null default '';
-- An integer where 64 bits are enough for it, as they nearly always are; a text else.
alter table alerts add column any_value any not null default 0;
update alerts set any_metric = metric, any_value = value;
alter table alerts drop column metric;
alter table alerts drop column value;
alter table alerts rename column any_metric to metric;
alter table alerts rename column any_value to value;

create unique index alerts_by_rule_symbol_metric on alerts (rule, symbol, metric, start);
create index public_alerts_by_metric on alerts (metric, start, id) where public = 1;
create index public_alerts_by_symbol_metric on alerts (symbol, metric, start, id) where public = 1;
create index public_alerts_by_rule_metric on alerts (rule, metric, start, id) where public = 1;
create index private_alerts_by_rule_metric on alerts (rule, metric, start, id) where public = 0;
create index private_alerts_by_rule_symbol_metric on alerts (rule, symbol, metric, start) where public = 0;

drop index subscriptions_live;
drop index subscriptions_active;
drop index subscriptions_watched;

alter table subscriptions add column any_metric text not null default '';
update subscriptions set any_metric = metric;
alter table subscriptions drop column metric;
alter table subscriptions rename column any_metric to metric;

create unique index subscriptions_live on subscriptions (address, symbol, metric, rule) where ended_at is null;
create index subscriptions_active on subscriptions (symbol, metric, rule, active_from) where status = 'active';
create index subscriptions_watched on subscriptions (symbol, metric, rule) where status = 'active' and own_rule = 1;

-- The figures of the others, as JSON: `{"trades":{"stdev":4.5,..,"window_bars":60}}`.
alter table statistics add column further text;
