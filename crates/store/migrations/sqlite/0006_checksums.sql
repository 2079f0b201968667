-- A CRC-32 over what a bar says, which the program computes and compares; -1 until it has. A migration that changes bars
-- sets it to -1 and deletes the note `checksums`: the next start computes it anew.
alter table bars add column checksum integer not null default -1;
