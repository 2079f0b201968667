//! What is drawn. Without colour, what matters is bold or reversed, and signs say up and down.

use crate::api::{Alert, Bar, Symbol};
use crate::keys::HELP;
use crate::market::{Market, UNUSUAL};
use crate::view::{INTERVALS, Page, View};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Axis, Block, Borders, Cell, Chart, Clear, Dataset, GraphType, List, Paragraph, Row, Sparkline, Table,
    TableState,
};

/// How things are dressed: with colours, or without any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dress {
    has_colour: bool,
}

impl Dress {
    /// `no_color` and `term` are the variables of the environment: NO_COLOR (no-color.org) and TERM.
    pub(crate) fn new(no_color: Option<&str>, term: Option<&str>) -> Self {
        let refused = no_color.is_some_and(|value| !value.is_empty());
        let has_none = term.is_none_or(|term| term.is_empty() || term == "dumb" || term.starts_with("vt1"));
        Self { has_colour: !refused && !has_none }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.has_colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn soft(self) -> Style {
        if self.has_colour {
            Style::new().fg(Color::DarkGray)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    fn hot(self) -> Style {
        self.coloured(Color::LightRed).add_modifier(Modifier::BOLD)
    }

    fn signed(self, value: f64) -> Style {
        self.coloured(if value < 0.0 { Color::Yellow } else { Color::Cyan })
    }
}

/// Bars of the chart that is looked at.
#[derive(Debug, Default)]
pub(crate) struct ChartBars {
    pub(crate) symbol: String,
    pub(crate) interval: usize,
    /// Oldest first.
    pub(crate) bars: Vec<Bar>,
    /// Why there are none.
    pub(crate) trouble: Option<String>,
}

/// Draws all of it.
pub(crate) fn draw(frame: &mut Frame<'_>, market: &Market, view: &View, chart: &ChartBars, dress: Dress) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(headline(market, dress), head);
    match view.page {
        Page::Summary => summary(frame, body, market, view, dress),
        Page::Symbol => symbol(frame, body, market, view, chart, dress),
    }
    frame.render_widget(footer(view, dress), foot);
    if view.shows_help {
        help(frame, dress);
    }
}

fn headline<'a>(market: &'a Market, dress: Dress) -> Paragraph<'a> {
    let status = &market.status;
    let mut parts = vec![Span::styled("QQQ Tracker", Style::new().add_modifier(Modifier::BOLD))];
    match status.mode.as_deref() {
        Some("simulated") => parts.push(Span::styled("  simulated market", dress.hot())),
        Some("replayed") => parts.push(Span::styled("  recorded market", dress.hot())),
        _ => parts.push(format!("  {}", status.feed.as_deref().unwrap_or("no feed yet")).into()),
    }
    if !status.as_of.is_empty() {
        let when = new_york(&status.as_of, "%a %d %b %H:%M");
        parts.push(Span::styled(format!("  {}, {when} New York", status.session), dress.soft()));
    }
    if let Some(problem) = &status.problem {
        parts.push(Span::styled(format!("  the feed has a problem: {problem}"), dress.hot()));
    }
    if !market.is_connected {
        parts.push(Span::styled("  connection lost, trying again", dress.hot()));
    }
    Paragraph::new(Line::from(parts))
}

fn footer(view: &View, dress: Dress) -> Paragraph<'static> {
    if view.is_typing {
        return Paragraph::new(format!("/{}_   Enter keeps it, Esc drops it", view.filter));
    }
    let text = match view.page {
        Page::Summary => format!("↑↓ choose  Enter chart  o {}  / narrow  ? keys  q end", view.order.words()),
        Page::Symbol => {
            format!("Tab next  ←→ {} bars  v volumes  s summary  ? keys  q end", INTERVALS[view.interval])
        }
    };
    Paragraph::new(Span::styled(text, dress.soft()))
}

fn summary(frame: &mut Frame<'_>, area: Rect, market: &Market, view: &View, dress: Dress) {
    let listed = view.listed(market);
    let rows = u16::try_from(listed.len()).unwrap_or(u16::MAX).saturating_add(2);
    let alerts = if area.height >= 14 { Constraint::Min(6) } else { Constraint::Length(0) };
    let [list, news] = Layout::vertical([Constraint::Max(rows), alerts]).areas(area);
    let width = usize::from((area.width / 5).clamp(6, 24));
    let narrow = area.width < 72;
    let marked = view.marked(market);
    let at = listed.iter().position(|&index| Some(market.symbols[index].symbol.as_str()) == marked);
    let mut titles = vec!["Symbol", "Price, $", "Day, %", "Score", "Ratio"];
    let mut widths = vec![
        Constraint::Min(if narrow { 7 } else { 22 }),
        Constraint::Length(10),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Length(6),
    ];
    if !narrow {
        titles.extend(["Rel. vol.", "Session"]);
        widths.extend([Constraint::Length(9), Constraint::Length(width as u16)]);
    }
    let table = Table::new(
        listed.iter().map(|&index| row(&market.symbols[index], market, narrow, width, dress)),
        widths,
    )
    .header(
        Row::new(titles.into_iter().enumerate().map(|(at, title)| {
            let right = (1..=5).contains(&at);
            Cell::from(if right { Line::from(title).right_aligned() } else { Line::from(title) })
        }))
        .style(dress.soft()),
    )
    .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, list, &mut TableState::new().with_selected(at));
    if news.height > 0 {
        let block = Block::new().borders(Borders::TOP).title(" Alerts ");
        frame.render_widget(alert_list(&market.alerts, None, dress).block(block), news);
    }
}

fn row<'a>(one: &'a Symbol, market: &Market, narrow: bool, width: usize, dress: Dress) -> Row<'a> {
    let right = |text: String, style: Style| Cell::from(Line::styled(text, style).right_aligned());
    let known = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"));
    let is_open = market.status.session != "closed";
    let is_unusual = is_open && one.unusual.score.is_some_and(|score| score >= UNUSUAL);
    let lit = if is_unusual { dress.hot() } else { Style::new() };
    let name = one.name.as_deref().unwrap_or_default();
    let label = if narrow { one.symbol.clone() } else { format!("{:<6} {name}", one.symbol) };
    let percent = one.day_change.map(|change| change.percent);
    let mut cells = vec![
        Cell::from(Span::styled(format!("{}{label}", if is_unusual { "!" } else { " " }), lit)),
        right(one.bar.as_ref().map_or_else(|| "no bar".to_owned(), |bar| dollars(bar.close)), Style::new()),
        right(percent.map_or_else(|| "–".to_owned(), signed), dress.signed(percent.unwrap_or_default())),
        right(known(one.unusual.score.map(|score| score.max(0.0))), lit),
        right(known(one.statistics.volume.ratio), Style::new()),
    ];
    if !narrow {
        cells.push(right(known(one.unusual.relative_volume.ratio), Style::new()));
        let line = market.sparklines.get(&one.symbol).map(|closes| spark(closes, width)).unwrap_or_default();
        cells.push(Cell::from(Span::styled(line, dress.soft())));
    }
    Row::new(cells)
}

fn alert_list<'a>(alerts: &'a [Alert], of: Option<&str>, dress: Dress) -> List<'a> {
    let shown = alerts.iter().filter(|alert| of.is_none_or(|symbol| alert.symbol == symbol));
    let lines: Vec<Line<'a>> = shown
        .map(|alert| {
            let when = Span::styled(new_york(&alert.start, "%a %H:%M  "), dress.soft());
            if alert.state == "retracted" {
                let style = dress.soft().add_modifier(Modifier::CROSSED_OUT);
                return Line::from(vec![
                    when,
                    Span::styled(alert.headline.as_str(), style),
                    " taken back".into(),
                ]);
            }
            Line::from(vec![when, alert.headline.as_str().into()])
        })
        .collect();
    if lines.is_empty() { List::new([Line::styled("None yet.", dress.soft())]) } else { List::new(lines) }
}

fn symbol(frame: &mut Frame<'_>, area: Rect, market: &Market, view: &View, chart: &ChartBars, dress: Dress) {
    let Some(one) = view.marked(market).and_then(|symbol| market.symbol(symbol)) else {
        frame.render_widget(Paragraph::new("No such symbol."), area);
        return;
    };
    let volumes = if view.hides_volumes || area.height < 16 { 0 } else { area.height / 6 };
    let news = if area.height < 20 { 0 } else { 5 };
    let [title, plot, bars, alerts] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(volumes),
        Constraint::Length(news),
    ])
    .areas(area);
    let percent = one.day_change.map(|change| change.percent);
    let price =
        one.bar.as_ref().map_or_else(|| "no bar yet".to_owned(), |bar| format!("${}", dollars(bar.close)));
    frame.render_widget(
        Line::from(vec![
            Span::styled(format!("{} ", one.symbol), Style::new().add_modifier(Modifier::BOLD)),
            Span::styled(format!("{}  ", one.name.as_deref().unwrap_or_default()), dress.soft()),
            Span::raw(format!("{price}  ")),
            Span::styled(
                percent.map_or_else(String::new, |percent| format!("{} %", signed(percent))),
                dress.signed(percent.unwrap_or_default()),
            ),
        ]),
        title,
    );
    let is_of_it = chart.symbol == one.symbol && chart.interval == view.interval;
    if !is_of_it || chart.bars.is_empty() {
        let text = match &chart.trouble {
            Some(trouble) if is_of_it => trouble.clone(),
            None if is_of_it => "No bars yet.".to_owned(),
            _ => "Loading bars …".to_owned(),
        };
        frame.render_widget(Paragraph::new(Span::styled(text, dress.soft())), plot);
    } else {
        price_chart(frame, plot, &chart.bars, dress);
        if volumes > 0 {
            // A column for each bar, the newest ones where there is no room for all.
            let fits = usize::from(bars.width.saturating_sub(10));
            let newest = &chart.bars[chart.bars.len().saturating_sub(fits)..];
            let shares: Vec<u64> = newest.iter().map(|bar| bar.volume.max(0).unsigned_abs()).collect();
            let area = Rect { x: bars.x + 9.min(bars.width), width: bars.width.saturating_sub(9), ..bars };
            frame.render_widget(Sparkline::default().data(&shares).style(dress.soft()), area);
        }
    }
    let block = Block::new().borders(Borders::TOP).title(" Alerts ");
    frame.render_widget(alert_list(&market.alerts, Some(&one.symbol), dress).block(block), alerts);
}

fn price_chart(frame: &mut Frame<'_>, area: Rect, bars: &[Bar], dress: Dress) {
    // Two dots to a column.
    let fits = usize::from(area.width.saturating_sub(10)).max(1) * 2;
    let bars = &bars[bars.len().saturating_sub(fits)..];
    let points: Vec<(f64, f64)> = bars.iter().enumerate().map(|(at, bar)| (at as f64, bar.close)).collect();
    let low = bars.iter().map(|bar| bar.low).fold(f64::INFINITY, f64::min);
    let high = bars.iter().map(|bar| bar.high).fold(f64::NEG_INFINITY, f64::max);
    let room = ((high - low) * 0.05).max(high.abs() * 1e-6).max(1e-9);
    let (low, high) = (low - room, high + room);
    let named = |bar: Option<&Bar>| bar.map(|bar| new_york(&bar.start, "%d %b %H:%M")).unwrap_or_default();
    let prices: Vec<String> =
        (0..=4).map(|part| dollars(low + (high - low) * f64::from(part) / 4.0)).collect();
    let line = Dataset::default()
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .style(dress.coloured(Color::Cyan))
        .data(&points);
    let last = (bars.len().max(2) - 1) as f64;
    let chart = Chart::new(vec![line])
        .x_axis(
            Axis::default()
                .bounds([0.0, last])
                .labels([named(bars.first()), named(bars.get(bars.len() / 2)), named(bars.last())])
                .style(dress.soft()),
        )
        .y_axis(Axis::default().bounds([low, high]).labels(prices).style(dress.soft()));
    frame.render_widget(chart, area);
}

fn help(frame: &mut Frame<'_>, dress: Dress) {
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(keys, what)| {
            Line::from(vec![Span::raw(format!(" {keys:<15} ")), Span::styled(*what, dress.soft())])
        })
        .collect();
    let area = frame.area().centered(Constraint::Length(54), Constraint::Length(lines.len() as u16 + 2));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Keys ")), area);
}

/// A line of eighths, as wide as asked for: the newest at the right.
fn spark(closes: &[f64], width: usize) -> String {
    const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let low = closes.iter().copied().fold(f64::INFINITY, f64::min);
    let high = closes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let room = if high > low { high - low } else { 1.0 };
    let columns = width.min(closes.len());
    (0..columns)
        .map(|column| {
            // The last close of each column's part.
            let at = (column + 1) * closes.len() / columns - 1;
            EIGHTHS[(((closes[at] - low) / room * 7.0).round() as usize).min(7)]
        })
        .collect()
}

/// `1,234.50`, four places below a dollar.
fn dollars(value: f64) -> String {
    let text = if value.abs() < 1.0 { format!("{value:.4}") } else { format!("{value:.2}") };
    let (whole, cents) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && digit.is_ascii_digit() && (whole.len() - at) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped}.{cents}")
}

/// `+1.25`, `-3.50`: the sign says what a colour would.
fn signed(percent: f64) -> String {
    format!("{percent:+.2}")
}

/// A time of the API in New York; as it stands where it is none.
fn new_york(text: &str, format: &str) -> String {
    let zone = TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC);
    match text.parse::<Timestamp>() {
        Ok(at) => zone.to_datetime(at).strftime(format).to_string(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_where_they_are_refused_or_unknown() {
        let has = |no_color, term| Dress::new(no_color, term).has_colour;
        assert!(has(None, Some("xterm-256color")));
        assert!(has(Some(""), Some("xterm")), "no-color.org: when present and not empty");
        assert!(!has(Some("1"), Some("xterm-256color")));
        assert!(!has(None, Some("dumb")));
        assert!(!has(None, Some("vt100")));
        assert!(!has(None, None));
    }

    #[test]
    fn prices_are_grouped_and_lines_are_as_wide_as_they_may_be() {
        assert_eq!(dollars(1_234_567.5), "1,234,567.50");
        assert_eq!(dollars(999.994), "999.99");
        assert_eq!(dollars(0.12345), "0.1235");
        assert_eq!(spark(&[1.0, 2.0, 3.0, 8.0], 2), "▂█");
        assert_eq!(spark(&[5.0, 5.0], 9), "▁▁");
        assert_eq!(spark(&[], 9), "");
        assert_eq!(new_york("2025-01-31T20:59:00Z", "%a %H:%M"), "Fri 15:59");
    }
}
