//! Asking for bars and splits, and what becomes of the answers.

use super::{MAX_IN_VAIN, Poller};
use crate::detect::Answered;
use crate::ingest::STEP_BARS;
use crate::schedule;
use qqq_core::{Second, Symbol};
use qqq_feed::{FeedError, FeedErrorKind, Fetched};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tracing::{info, warn};

impl Poller {
    pub(super) async fn poll_all(&mut self) -> Result<(), FeedError> {
        self.ask_for_splits().await?;
        let market = self.market_time();
        let until = schedule::complete_until(market);
        let reconciles = schedule::ended_session(market, &self.ingest.calendar)
            .filter(|session| self.reconciled.is_none_or(|last| last < session.end));
        if let Some(session) = &reconciles {
            info!("the session is over; all of it is asked for once more");
            self.from.values_mut().for_each(|from| *from = (*from).min(session.start));
        }
        // No place lies in the future (the clock was set back) or further back than is healed.
        let (last, first) =
            (until.plus_minutes(-schedule::RE_ASK), until.plus_minutes(-schedule::HEAL_LIMIT));
        self.from.values_mut().for_each(|from| *from = (*from).min(last).max(first));
        // Symbols that take up at about the same time are asked for together: most first, those that were
        // refused last.
        let now = self.ingest.clock.now();
        let mut groups: BTreeMap<(bool, Second), Vec<Symbol>> = BTreeMap::new();
        for &symbol in self.ingest.watchlist.symbols() {
            if self.troubles.may_be_asked(symbol, now) {
                let from = self.from.get(&symbol).copied().unwrap_or(until);
                groups.entry((self.troubles.is_refused(symbol), from)).or_default().push(symbol);
            }
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|((was_refused, from), symbols)| (*was_refused, Reverse(symbols.len()), *from));
        let mut failure = None;
        // What went wrong with some symbols, while others may yet be answered for.
        let mut refused = Vec::new();
        let (is_everything, mut in_vain) = (groups.len() == 1, 0);
        for ((was_refused, from), mut symbols) in groups {
            for stretch in schedule::stretches(from..until, symbols.len(), STEP_BARS) {
                if self.ingest.calendar.counting_minutes(stretch.clone()) == 0 {
                    continue;
                }
                if symbols.is_empty() {
                    break;
                }
                let fetched = match self.provider.bars(&symbols, stretch.clone()).await {
                    Ok(fetched) => fetched,
                    Err(error) if is_everything || (error.is_final() && !was_refused) => return Err(error),
                    Err(error) => {
                        in_vain += 1;
                        if in_vain == MAX_IN_VAIN && !self.answered {
                            return Err(error);
                        }
                        let failed = symbols.iter().map(|&symbol| (symbol, error.clone())).collect();
                        Fetched { failed, ..Fetched::default() }
                    }
                };
                // Who failed here is not asked on: its next poll takes up at this stretch.
                symbols.retain(|symbol| fetched.failed.iter().all(|(failed, _)| failed != symbol));
                let (transient, permanent): (Vec<_>, Vec<_>) = fetched
                    .failed
                    .iter()
                    .cloned()
                    .partition(|(_, error)| error.is_retryable() && !error.may_concern_one());
                refused.extend(permanent);
                self.take(fetched, &symbols, stretch.end, until).await;
                failure = self.failure_of(transient).or(failure);
            }
        }
        self.settle_refused(refused)?;
        match failure {
            Some(error) => Err(error),
            None => {
                self.reconciled = reconciles.map(|session| session.end).or(self.reconciled);
                Ok(())
            }
        }
    }

    /// Hands on what was fetched; `answered` are the symbols it is complete for up to `end`, where that is
    /// `now` for all that there can be.
    async fn take(&mut self, fetched: Fetched, answered: &[Symbol], end: Second, now: Second) {
        let at = self.ingest.clock.now();
        self.answered |= !answered.is_empty();
        self.ingest.reject(&fetched.rejects);
        for &symbol in answered {
            self.from.insert(symbol, end.plus_minutes(-schedule::RE_ASK));
            if self.troubles.served(symbol, !fetched.unreadable.contains(&symbol), at) {
                info!(%symbol, provider = self.info.provider, "this symbol is served again");
                self.splits_asked_on = None;
            }
        }
        if !answered.is_empty() {
            self.answered_at = Some(at);
        }
        let answered = Answered { symbols: answered.to_vec(), until: end };
        let is_up_to_date = end == now && !answered.symbols.is_empty();
        self.hand_on(Vec::new(), fetched.bars, is_up_to_date.then_some(answered)).await;
    }

    /// Remembers symbols that were refused while others were answered for: they are left alone for an hour.
    /// An error where nothing was answered: then it is the feed that refuses.
    fn settle_refused(&mut self, refused: Vec<(Symbol, FeedError)>) -> Result<(), FeedError> {
        let now = self.ingest.clock.now();
        // That nobody knows a symbol is an answer.
        let of_the_feed =
            refused.iter().map(|(_, error)| error).find(|error| error.kind != FeedErrorKind::NotFound);
        if let Some(error) = of_the_feed.filter(|_| !self.answered) {
            return Err(error.clone());
        }
        for (symbol, error) in refused {
            if self.troubles.refuse(symbol, &error, self.info.provider, self.answered, now) {
                warn!(
                    %symbol, %error,
                    "the provider does not serve this symbol: it is asked again every hour"
                );
            }
        }
        Ok(())
    }

    /// The failure of some symbols that asking again may mend, if any.
    fn failure_of(&self, failed: Vec<(Symbol, FeedError)>) -> Option<FeedError> {
        for (symbol, error) in &failed {
            warn!(%symbol, %error, "no bars of this symbol");
        }
        let mut failed = failed.into_iter();
        let (symbol, error) = failed.next()?;
        let others = failed.count();
        let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
        let told = format!("{symbol}{more}: {}", error.told(self.info.provider));
        Some(FeedError::new(error.kind, format!("{symbol}{more}: {error}")).telling(told))
    }

    /// Asks for splits once a New York day, before any bar of the day.
    pub(super) async fn ask_for_splits(&mut self) -> Result<(), FeedError> {
        let now = schedule::complete_until(self.ingest.clock.now());
        let today = self.ingest.calendar.date_of(now);
        if self.splits_asked_on == Some(today) {
            return Ok(());
        }
        let earliest = self.from.values().min().copied().unwrap_or(now).plus_minutes(-self.backfill);
        let first = self.ingest.calendar.date_of(earliest);
        let symbols = self.ingest.watchlist.symbols().iter().copied();
        let symbols: Vec<Symbol> = symbols.filter(|&symbol| !self.troubles.is_refused(symbol)).collect();
        match self.provider.splits(&symbols, first..=today).await {
            Ok(splits) => {
                self.splits_asked_on = Some(today);
                if !splits.is_empty() {
                    self.hand_on(splits, Vec::new(), None).await;
                }
            }
            // Bars in today's units must not be stored before the splits they are adjusted for are known: the
            // split would be applied to them once more.
            Err(error) if error.kind == FeedErrorKind::Auth || self.info.split_adjusted => return Err(error),
            // Raw bars do not wait: history is rescaled when the split becomes known.
            Err(error) => {
                warn!(provider = self.info.provider, %error, "splits are not known");
                if error.is_final() {
                    self.splits_asked_on = Some(today);
                }
            }
        }
        Ok(())
    }
}
