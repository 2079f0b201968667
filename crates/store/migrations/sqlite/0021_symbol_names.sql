-- What a source of names calls symbols, and when it was last asked. No commits: readers ask for the time.
create table symbol_names (
    symbol text primary key,
    name text not null check (name <> '')
) strict, without rowid;

create table symbol_names_told (
    one integer primary key check (one = 1),
    at integer not null
) strict;
