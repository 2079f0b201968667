-- For which provider the feed stands in, and why, apart from how much of the market it sees.
alter table feed_status add column stands_in_for text;
alter table feed_status add column stands_in_reason text;
update feed_status set coverage = substr(coverage, 1, instr(coverage, '; stands in for ') - 1)
where instr(coverage, '; stands in for ') > 0;
