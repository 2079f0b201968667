-- What waits for the end of quiet hours or for room in the budget is deferred: the word of the code that decides it.
alter table deliveries rename column held to deferred;
