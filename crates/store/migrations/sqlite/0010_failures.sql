-- `claims` counts how often a delivery was handed out and is the lease: only the latest claim may settle. `attempts`
-- counts those of them that were tried, as far as is known. `failure` is of what kind the last failure was, as
-- `FailureKind` writes it; `reason` stays the words about it.

alter table deliveries add column claims integer not null default 0 check (claims >= 0);
alter table deliveries add column failure text;

update deliveries set claims = attempts;

-- Until now the kind stood in the words. The first of them that names one counts: what follows may be a receiver's.
create table failure_marks (mark text not null, kind text);

insert into failure_marks (mark, kind) values
    (' refused ', 'refused'), (' answered ', 'refused'), (' cannot be reached', 'unreachable'),
    (' did not answer', 'timed_out'), (' broke off', 'broke_off'), (' is not sent', 'blocked'), (' keeps failing', null);

update deliveries set failure = (
    select kind from (select kind, instr(deliveries.reason, mark) as place from failure_marks)
    where place > 0 order by place limit 1
)
where state in ('pending', 'failed', 'expired') and reason is not null and reason <> 'not accepted in time';

drop table failure_marks;

update deliveries set failure = 'refused:' || substr(reason, instr(reason, ' answered ') + 10, 3)
where failure = 'refused' and reason not like 'the mail server %'
    and substr(reason, instr(reason, ' answered ') + 10, 4) glob '[345][0-9][0-9] ';

update deliveries set failure = 'refused:' || substr(reason, instr(reason, ': ') + 2, 3)
where failure = 'refused' and reason like 'the mail server % refused %'
    and substr(reason, instr(reason, ': ') + 2, 4) glob '[345][0-9][0-9] ';

update deliveries set failure = 'greeting_refused' where reason like '%see email.helo_name';

update deliveries set failure = 'other'
where failure is null and state in ('pending', 'failed') and reason is not null and reason not like '% keeps failing%';
