-- Requests for a link to sign in, as they come: what a client waits for is this one row, which says nothing of the
-- address. The worker decides whether a mail goes out: then `receiver` says where to, `expires_at` until when its link
-- works, and the row is the mail that is owed until `settled_at`. The link's token is derived of `id` by a key that is not
-- here. A link that was used is `used_at`; rows stay for two days, as throttles count them.
create table sign_ins (
    place       integer primary key,
    id          text not null unique,
    token_hash  blob not null unique check (length(token_hash) = 32),
    address     text not null,
    mailbox     text not null,
    domain      text not null,
    public      integer not null check (public in (0, 1)),
    asked_at    integer not null,
    not_before  integer not null,
    receiver    text,
    owed_at     integer,
    expires_at  integer,
    due_at      integer,
    lease_until integer,
    attempts    integer not null default 0 check (attempts >= 0),
    settled_at  integer,
    used_at     integer,
    check ((owed_at is null) = (receiver is null)),
    check ((owed_at is null) = (expires_at is null)),
    check ((owed_at is null) = (due_at is null)),
    check (owed_at is not null or (lease_until is null and settled_at is null and used_at is null)),
    check (lease_until is null or settled_at is null)
) strict;

create index sign_ins_waiting on sign_ins (not_before, place) where owed_at is null;
create index sign_ins_due on sign_ins (coalesce(lease_until, due_at)) where owed_at is not null and settled_at is null;
create index sign_ins_of_mailbox on sign_ins (mailbox, owed_at) where owed_at is not null;
create index sign_ins_owed on sign_ins (owed_at) where owed_at is not null;
create index sign_ins_of_address on sign_ins (address);
create index sign_ins_by_age on sign_ins (asked_at);

-- Browsers that are signed in. `address` is what a recipient is known by, `receiver` the same as the mail was addressed.
create table sessions (
    token_hash blob not null primary key check (length(token_hash) = 32),
    address    text not null,
    receiver   text not null,
    created_at integer not null,
    expires_at integer not null
) strict, without rowid;

create index sessions_of_address on sessions (address, created_at);
create index sessions_by_age on sessions (expires_at);
