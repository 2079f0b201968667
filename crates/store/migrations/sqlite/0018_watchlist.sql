-- What operators changed of the configured watchlist, at most once for a symbol, and the number of changes of that.
create table watchlist_edits (
    symbol text primary key,
    tracked integer not null check (tracked in (0, 1)),
    place integer not null unique
) strict, without rowid;

create table watchlist_version (
    one integer primary key check (one = 1),
    version integer not null
) strict;
insert into watchlist_version values (1, 0);
