-- Places are given by channel and host: a claim passes over deliveries to hosts that have none free. `host` is what
-- `Channel::host` says: of mail the recipient's domain, of a webhook scheme, host and port.

alter table deliveries add column channel text not null default 'email' check (channel in ('email', 'webhook'));
alter table deliveries add column host text not null default '';

-- A webhook's address is a canonical URL: its host ends at the first slash after the two.
update deliveries set channel = s.channel, host = case s.channel
    when 'email' then substr(s.address, instr(s.address, '@') + 1)
    else substr(s.address, 1, instr(s.address, '://') + 1 + instr(substr(s.address, instr(s.address, '://') + 3), '/'))
    end
from subscriptions s where s.id = deliveries.subscription;

drop index deliveries_due;
create index deliveries_due on deliveries (channel, coalesce(lease_until, due_at), id, address_hash, host)
    where state = 'pending';
