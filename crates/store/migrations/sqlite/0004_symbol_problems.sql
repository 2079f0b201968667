-- Until when a feed was asked (minutes since 1970), and the symbols it does not serve: lines of "symbol since
-- next_attempt problem".
alter table feed_status add column asked_until integer;
alter table feed_status add column symbol_problems text not null default '';
