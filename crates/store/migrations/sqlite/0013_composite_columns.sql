-- What one column holds of several values becomes JSON. What is not as an earlier version wrote it stays, and is told as
-- corrupt when it is read, as before.

-- From `1;average;SUM;BARS` and the like. A sum of squares is text: no JSON reader but ours keeps 128 bits of a number.
update alerts set evidence = made.evidence
from (
    select id as old, case parts ->> 1
        when 'average' then '{"type":"average","sum":' || (parts ->> 2) || ',"bars":' || (parts ->> 3) || '}'
        when 'deviation' then '{"type":"deviation","sum":' || (parts ->> 2) || ',"squares":"' || (parts ->> 3)
            || '","bars":' || (parts ->> 4) || '}'
        when 'origin' then '{"type":"origin","value":' || (parts ->> 2) || ',"start":' || (parts ->> 3) || '}'
        when 'crossing' then '{"type":"crossing","level":' || (parts ->> 2) || ',"before":' || (parts ->> 3) || '}'
        when 'median' then '{"type":"median","twice":' || (parts ->> 2) || ',"sessions":' || (parts ->> 3) || '}'
    end as evidence
    from (
        select id, '["' || replace(evidence, ';', '","') || '"]' as parts from alerts
        where evidence like '1;%' and evidence not like '%"%' and evidence not like '%\%'
    )
) as made
where id = made.old and json_valid(made.evidence);

-- From `1;START:VALUE,START:VALUE`, and with folded ones `2;COUNT:PEAK:UNTIL;` and the same.
update alerts set occurrences = made.occurrences
from (
    select id as old, '{'
        || iif(folded is null, '', '"folded":{"count":' || (folded ->> 0) || ',"peak":' || (folded ->> 1) || ',"until":'
            || (folded ->> 2) || '},')
        || '"kept":[' || iif(list = '', '', '[' || replace(replace(list, ',', '],['), ':', ',') || ']') || ']}' as occurrences
    from (
        select id, null as folded, substr(occurrences, 3) as list from alerts where occurrences glob '1;*'
        union all
        select id, '[' || replace(substr(rest, 1, instr(rest, ';') - 1), ':', ',') || ']', substr(rest, instr(rest, ';') + 1)
        from (select id, substr(occurrences, 3) as rest from alerts where occurrences glob '2;[0-9:-]*;*')
    )
    where list not glob '*[^0-9:,-]*' and (folded is null or json_valid(folded))
) as made
where id = made.old and json_valid(made.occurrences);

-- From a line for each, `SYMBOL SINCE NEXT_ATTEMPT PROBLEM`, times in microseconds since 1970 and `-` for none.
with recursive
    lines (line, rest) as (
        select '', symbol_problems from feed_status
        union all
        select substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)
        from lines where instr(rest, char(10)) > 0
    ),
    symbols (symbol, rest) as (
        select substr(line, 1, instr(line, ' ') - 1), substr(line, instr(line, ' ') + 1) from lines where line <> ''
    ),
    times (symbol, since, rest) as (
        select symbol, substr(rest, 1, instr(rest, ' ') - 1), substr(rest, instr(rest, ' ') + 1) from symbols
    ),
    problems (symbol, problem, since, next_attempt) as (
        select symbol, substr(rest, instr(rest, ' ') + 1), since, nullif(substr(rest, 1, instr(rest, ' ') - 1), '-')
        from times
    )
update feed_status set symbol_problems = (
    select json_group_array(json_object(
        'symbol', symbol, 'problem', problem,
        'since', strftime('%Y-%m-%dT%H:%M:%S', since / 1000000, 'unixepoch') || printf('.%06dZ', since % 1000000),
        'next_attempt', strftime('%Y-%m-%dT%H:%M:%S', next_attempt / 1000000, 'unixepoch')
            || printf('.%06dZ', next_attempt % 1000000)
    )) from problems
);
