-- An alert carries its whole rule. `rule` says it of an own rule, and names the house's: `house_rule` is the canonical text of
-- that as it was when the alert was raised. Of alerts from before, nobody kept it: whoever opens the store next knows the
-- configuration, and gives them the rule of that, once and for good.

alter table alerts add column house_rule text;

create index alerts_without_rule on alerts (id) where rule = 'spike' and house_rule is null;
