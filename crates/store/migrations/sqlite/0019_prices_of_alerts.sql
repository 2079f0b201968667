-- An alert keeps the price at its bar's end and the regular close of the trading day before, as they were known when it was
-- raised, 1e-9 dollars: what is told of it says both. Of alerts from before, the stored bar tells the price, where it is the
-- very bar that was judged and no split has changed its units since; what they were measured from is not known.

alter table alerts add column close integer;
alter table alerts add column previous_close integer;

update alerts set close = (
    select b.close from bars b
    where b.symbol = alerts.symbol and b.start = alerts.start and b.feed = alerts.feed and b.revision = alerts.revision
)
where not exists (select 1 from splits s where s.symbol = alerts.symbol and s.from_start > alerts.start);
