-- What a receiver's subscriptions told is listed by pages: alerts of own rules, which are in few indexes, have one each for
-- subscriptions to all symbols and to one, in the order of the list.
create index private_alerts_by_rule_metric on alerts (rule, metric, start, id) where public = 0;
create index private_alerts_by_rule_symbol_metric on alerts (rule, symbol, metric, start) where public = 0;
