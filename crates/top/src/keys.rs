//! What a key means.

use crate::market::Market;
use crate::view::{INTERVALS, Page, View};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What is to be done beside drawing anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Nothing more.
    Draw,
    /// Another chart is looked at.
    Chart,
    /// The end.
    Quit,
}

/// The keys, as the help tells them.
pub(crate) const HELP: [(&str, &str); 11] = [
    ("↑ ↓  k j", "the symbol above, below"),
    ("Tab  Shift-Tab", "the next symbol, the one before"),
    ("Enter", "its chart"),
    ("s  Esc", "back to the summary"),
    ("← →", "shorter, longer bars"),
    ("v", "volumes, or none"),
    ("o", "another order"),
    ("/", "narrow the list to what is typed"),
    ("Home  End", "the first, the last symbol"),
    ("?", "these keys"),
    ("q  Ctrl-C", "the end"),
];

/// Takes a key.
pub(crate) fn press(view: &mut View, market: &Market, key: KeyEvent) -> Act {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return if key.code == KeyCode::Char('c') { Act::Quit } else { Act::Draw };
    }
    if view.is_typing {
        return type_filter(view, key.code);
    }
    let before = (view.page, view.marked(market).map(str::to_owned), view.interval);
    match key.code {
        KeyCode::Char('q') => return Act::Quit,
        KeyCode::Char('?') => view.shows_help = !view.shows_help,
        KeyCode::Esc if view.shows_help => view.shows_help = false,
        KeyCode::Esc if view.page == Page::Summary => view.filter.clear(),
        KeyCode::Char('s') | KeyCode::Esc => view.page = Page::Summary,
        KeyCode::Enter if view.marked(market).is_some() => {
            view.marked = before.1.clone();
            view.page = Page::Symbol;
        }
        KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => view.step(market, 1),
        KeyCode::Up | KeyCode::Char('k') | KeyCode::BackTab => view.step(market, -1),
        KeyCode::PageDown => view.step(market, 10),
        KeyCode::PageUp => view.step(market, -10),
        KeyCode::Home => view.step(market, isize::MIN),
        KeyCode::End => view.step(market, isize::MAX),
        KeyCode::Left => view.interval = view.interval.saturating_sub(1),
        KeyCode::Right => view.interval = (view.interval + 1).min(INTERVALS.len() - 1),
        KeyCode::Char('v') => view.hides_volumes = !view.hides_volumes,
        KeyCode::Char('o') => view.order = view.order.next(),
        KeyCode::Char('/') => {
            (view.page, view.is_typing) = (Page::Summary, true);
            view.filter.clear();
        }
        _ => {}
    }
    let after = (view.page, view.marked(market).map(str::to_owned), view.interval);
    if view.page == Page::Symbol && after != before { Act::Chart } else { Act::Draw }
}

fn type_filter(view: &mut View, code: KeyCode) -> Act {
    match code {
        KeyCode::Esc => {
            view.filter.clear();
            view.is_typing = false;
        }
        KeyCode::Enter => view.is_typing = false,
        KeyCode::Backspace => {
            view.filter.pop();
        }
        KeyCode::Char(letter) if view.filter.chars().count() < 20 => view.filter.push(letter),
        _ => {}
    }
    Act::Draw
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Order;

    fn market() -> Market {
        let symbol = |name: &str, score: f64, percent: f64| {
            serde_json::from_value(serde_json::json!({
                "symbol": name, "name": format!("{name} Inc"), "bar": null,
                "day_change": {"percent": percent}, "statistics": {"volume": {"ratio": null}},
                "unusual": {"score": score, "relative_volume": {"ratio": null}}
            }))
            .unwrap()
        };
        let symbols = vec![symbol("MSFT", 1.0, 0.5), symbol("NVDA", 3.0, -3.5), symbol("AAPL", 1.1, 2.0)];
        Market::new(symbols, Vec::new(), String::new())
    }

    fn pressed(view: &mut View, codes: &[KeyCode]) -> Act {
        let market = market();
        codes.iter().map(|&code| press(view, &market, KeyEvent::from(code))).last().unwrap()
    }

    #[test]
    fn the_list_is_walked_and_a_symbol_opened_and_left() {
        let market = market();
        let mut view = View::default();
        assert_eq!(view.marked(&market), Some("NVDA"), "the most unusual");
        assert_eq!(pressed(&mut view, &[KeyCode::Down]), Act::Draw);
        assert_eq!(view.marked(&market), Some("MSFT"));
        pressed(&mut view, &[KeyCode::End, KeyCode::Char('j')]);
        assert_eq!(view.marked(&market), Some("AAPL"), "beyond the end is the end");
        assert_eq!(pressed(&mut view, &[KeyCode::Enter]), Act::Chart);
        assert_eq!(pressed(&mut view, &[KeyCode::Right]), Act::Chart);
        assert_eq!((view.page, INTERVALS[view.interval]), (Page::Symbol, "5m"));
        assert_eq!(pressed(&mut view, &[KeyCode::BackTab]), Act::Chart);
        assert_eq!(view.marked(&market), Some("MSFT"));
        assert_eq!(pressed(&mut view, &[KeyCode::Char('v')]), Act::Draw);
        pressed(&mut view, &[KeyCode::Esc]);
        assert_eq!(view.page, Page::Summary);
        assert_eq!(pressed(&mut view, &[KeyCode::Char('q')]), Act::Quit);
    }

    #[test]
    fn what_is_typed_narrows_the_list_and_is_no_command() {
        let market = market();
        let mut view = View::default();
        pressed(&mut view, &[KeyCode::Char('/'), KeyCode::Char('a'), KeyCode::Char('q')]);
        assert!(view.listed(&market).is_empty());
        assert_eq!(view.marked(&market), None);
        pressed(&mut view, &[KeyCode::Backspace, KeyCode::Char('a'), KeyCode::Enter]);
        assert_eq!(view.marked(&market), Some("AAPL"));
        pressed(&mut view, &[KeyCode::Esc]);
        assert_eq!(view.listed(&market).len(), 3);
    }

    #[test]
    fn orders_take_turns() {
        let market = market();
        let mut view = View::default();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let listed = view.listed(&market).iter().map(|&index| &*market.symbols[index].symbol).collect();
            seen.push((view.order, listed));
            pressed(&mut view, &[KeyCode::Char('o')]);
        }
        let expected: [(Order, Vec<&str>); 4] = [
            (Order::Unusual, vec!["NVDA", "MSFT", "AAPL"]),
            (Order::Change, vec!["AAPL", "MSFT", "NVDA"]),
            (Order::Symbol, vec!["AAPL", "MSFT", "NVDA"]),
            (Order::Watchlist, vec!["MSFT", "NVDA", "AAPL"]),
        ];
        assert_eq!(seen, expected);
        assert_eq!(view.order, Order::Unusual);
    }
}
