//! Trades that are told again: pure, time comes in as data.
//!
//! Finnhub's trades have no ids, and a connection has been seen to bring every message two or three times
//! (issue 143 of finnhubio/Finnhub-API). What is the same in symbol, price, size, time and conditions is one
//! trade, with one exception: within one message the same may stand several times and be several trades, as
//! where one order met several others in one millisecond. So a trade counts as often as the one message that
//! told it most often.
//!
//! What this cannot tell apart: two equal trades that came in two messages within ten seconds are taken for
//! one, and one trade that a single message tells twice for two.

use super::tick::Tick;
use crate::trades::Trade;
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, VecDeque};

/// How long a trade is remembered after it was last told.
const MEMORY: SignedDuration = SignedDuration::from_secs(10);
/// Trades remembered at the most; beyond, the oldest are forgotten early.
const MAX_REMEMBERED: usize = 100_000;

/// The trades of the last seconds.
#[derive(Debug, Default)]
pub struct Repeats {
    told: HashMap<Tick, Told>,
    /// In the order in which they were last told; a trade told again stands here again.
    order: VecDeque<(Timestamp, Tick)>,
}

#[derive(Debug)]
struct Told {
    /// The most often in one message.
    times: u32,
    last: Timestamp,
}

impl Repeats {
    /// Those trades of a message, which arrived at `now`, that no earlier message has told.
    pub fn strip(&mut self, message: &[Tick], now: Timestamp) -> Vec<Trade> {
        self.forget(now);
        let mut times: HashMap<Tick, u32> = HashMap::new();
        let mut fresh = Vec::new();
        for &trade in message {
            let times = times.entry(trade).or_default();
            *times += 1;
            if *times == 1 {
                self.order.push_back((now, trade));
            }
            let told = self.told.entry(trade).or_insert(Told { times: 0, last: now });
            told.last = now;
            if *times > told.times {
                told.times = *times;
                fresh.push(trade.trade);
            }
        }
        fresh
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some(&(told_at, trade)) = self.order.front()
            && (now.duration_since(told_at) > MEMORY || self.order.len() > MAX_REMEMBERED)
        {
            self.order.pop_front();
            if self.told.get(&trade).is_some_and(|told| told.last == told_at) {
                self.told.remove(&trade);
            }
        }
    }
}
