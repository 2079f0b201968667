-- Alerts are told apart by who may read them: `public` those that a rule of the house's raised. Which of the rules other
-- than `spike` are the house's, the worker says when it starts. Alerts of own rules are in no list, so they are in few
-- indexes.

alter table alerts add column public integer not null default 1 check (public in (0, 1));

update alerts set public = 0 where rule <> 'spike';

drop index alerts_by_rule_symbol;
drop index alerts_by_rule_metric;
drop index alerts_by_rule;
drop index alerts_by_symbol_metric;
drop index alerts_by_symbol;
drop index alerts_by_metric;

create index private_alerts_by_start on alerts (start) where public = 0;
-- Each combination of a list's filters has its index, in the order of the list.
create index public_alerts_by_start on alerts (start, id) where public = 1;
create index public_alerts_by_metric on alerts (metric, start, id) where public = 1;
create index public_alerts_by_symbol on alerts (symbol, start, id) where public = 1;
create index public_alerts_by_symbol_metric on alerts (symbol, metric, start, id) where public = 1;
create index public_alerts_by_rule on alerts (rule, start, id) where public = 1;
create index public_alerts_by_rule_metric on alerts (rule, metric, start, id) where public = 1;
create index public_alerts_by_rule_symbol on alerts (rule, symbol, start, id) where public = 1;
