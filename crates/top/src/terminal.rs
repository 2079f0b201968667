//! The loop: keys, events of the stream, bars that were asked for, and a picture after each.

use crate::api::{Alert, Api, Bar, Sparkline, Symbol, TopError};
use crate::events::{Event, Reader};
use crate::keys::{Act, press};
use crate::market::{Change, Market};
use crate::screen::{ChartBars, Dress, draw};
use crate::view::{INTERVALS, Page, View};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, KeyEvent, KeyEventKind};
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;
use url::Url;

/// After a stream that broke.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a key may wait to be looked for.
const LOOK: Duration = Duration::from_millis(100);
/// Bars of a chart.
const MOST_BARS: &str = "1000";

/// What comes from outside.
enum Input {
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// Everything, read anew.
    Loaded(Box<Market>),
    Sparklines(Vec<Sparkline>),
    Event(Event),
    Connected(bool),
    Bars(ChartBars),
}

/// Shows a running tracker until somebody ends it, or `stop`.
///
/// Fails where standard output is no terminal, and where nobody answers at `url` at first; later it tries
/// again.
pub async fn run(url: Url, stop: CancellationToken) -> Result<(), TopError> {
    if !std::io::stdout().is_terminal() {
        return Err(TopError::NoTerminal(url));
    }
    let api = Api::new(url)?;
    // Before the terminal is taken: what goes wrong is said on it as it was.
    let market = load(&api).await?;
    let variable = |name| std::env::var(name).ok();
    let dress = Dress::new(variable("NO_COLOR").as_deref(), variable("TERM").as_deref());
    let mut terminal = ratatui::try_init()?;
    let outcome = show(&mut terminal, api, market, dress, stop).await;
    ratatui::restore();
    outcome
}

async fn show(
    terminal: &mut DefaultTerminal,
    api: Api,
    market: Market,
    dress: Dress,
    stop: CancellationToken,
) -> Result<(), TopError> {
    let (inputs, mut heard) = mpsc::unbounded_channel();
    let over = Arc::new(AtomicBool::new(false));
    let keys = std::thread::spawn({
        let (inputs, over) = (inputs.clone(), Arc::clone(&over));
        move || read_keys(&inputs, &over)
    });
    let following = tokio::spawn(follow(api.clone(), market.last_event.clone(), inputs.clone()));
    let outcome = watch(terminal, &api, market, dress, &inputs, &mut heard, stop).await;
    following.abort();
    over.store(true, Ordering::Relaxed);
    let _ = keys.join();
    outcome
}

async fn watch(
    terminal: &mut DefaultTerminal,
    api: &Api,
    mut market: Market,
    dress: Dress,
    inputs: &UnboundedSender<Input>,
    heard: &mut UnboundedReceiver<Input>,
    stop: CancellationToken,
) -> Result<(), TopError> {
    let mut view = View::default();
    let mut chart = ChartBars::default();
    loop {
        terminal.draw(|frame| draw(frame, &market, &view, &chart, dress))?;
        let first = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            input = heard.recv() => input,
        };
        let Some(first) = first else { return Ok(()) };
        // What has come meanwhile is one picture.
        let more = std::iter::from_fn(|| heard.try_recv().ok()).collect::<Vec<_>>();
        for input in std::iter::once(first).chain(more) {
            match input {
                Input::Key(key) => match press(&mut view, &market, key) {
                    Act::Draw => {}
                    Act::Chart => ask_for_bars(api, &market, &view, inputs),
                    Act::Quit => return Ok(()),
                },
                Input::Resized => terminal.autoresize()?,
                Input::Loaded(anew) => {
                    let sparklines = std::mem::take(&mut market.sparklines);
                    market = Market { sparklines, status: market.status, ..*anew };
                }
                Input::Sparklines(lines) => market.take_sparklines(lines),
                Input::Connected(is_connected) => market.is_connected = is_connected,
                Input::Bars(bars) => chart = bars,
                Input::Event(event) => {
                    if let Change::Bar(symbol, bar) = market.take(&event)
                        && view.page == Page::Symbol
                        && chart.symbol == symbol
                    {
                        match chart.interval {
                            0 => append(&mut chart.bars, bar),
                            // A longer bar is made of all its minutes, and only the store has them all.
                            _ => ask_for_bars(api, &market, &view, inputs),
                        }
                    }
                }
            }
        }
    }
}

/// A minute's bar, new or corrected.
fn append(bars: &mut Vec<Bar>, bar: Bar) {
    let at = bars.partition_point(|known| known.start < bar.start);
    match bars.get_mut(at) {
        Some(known) if known.start == bar.start => *known = bar,
        _ => bars.insert(at, bar),
    }
}

fn ask_for_bars(api: &Api, market: &Market, view: &View, inputs: &UnboundedSender<Input>) {
    let Some(symbol) = view.marked(market).map(str::to_owned) else { return };
    let (api, inputs, interval) = (api.clone(), inputs.clone(), view.interval);
    tokio::spawn(async move {
        let path = format!("v1/symbols/{symbol}/bars");
        let query = [("interval", INTERVALS[interval]), ("limit", MOST_BARS)];
        let (bars, trouble) = match api.first::<Bar>(&path, &query).await {
            Ok(bars) => (bars, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let _ = inputs.send(Input::Bars(ChartBars { symbol, interval, bars, trouble }));
    });
}

async fn load(api: &Api) -> Result<Market, TopError> {
    let (symbols, position) = api.list::<Symbol>("v1/symbols", &[]).await?;
    let alerts = api.first::<Alert>("v1/alerts", &[("limit", "100")]).await?;
    Ok(Market::new(symbols, alerts, position))
}

/// Hears the stream, and begins again wherever it breaks.
async fn follow(api: Api, mut last: String, inputs: UnboundedSender<Input>) {
    let mut pause = FIRST_PAUSE;
    let mut version = None;
    loop {
        if let Ok(lines) = api.list::<Sparkline>("v1/sparklines", &[]).await {
            let _ = inputs.send(Input::Sparklines(lines.0));
        }
        if let Ok(mut response) = api.stream(&last).await {
            pause = FIRST_PAUSE;
            let _ = inputs.send(Input::Connected(true));
            let mut reader = Reader::default();
            'hearing: while let Ok(Some(piece)) = response.chunk().await {
                let Some(events) = reader.take(&piece) else { break };
                for event in events {
                    let news = event.watchlist_version();
                    let is_other = version.zip(news).is_some_and(|(known, news)| known != news);
                    version = news.or(version);
                    if event.name == "reset" || is_other {
                        // What came between is lost, or other symbols are watched.
                        if let Ok(market) = load(&api).await {
                            last.clone_from(&market.last_event);
                            let _ = inputs.send(Input::Loaded(Box::new(market)));
                        }
                        break 'hearing;
                    }
                    if !event.id.is_empty() {
                        last.clone_from(&event.id);
                    }
                    if inputs.send(Input::Event(event)).is_err() {
                        return;
                    }
                }
            }
            let _ = inputs.send(Input::Connected(false));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Keys are read by a thread of their own: the terminal has no other way to wait.
fn read_keys(inputs: &UnboundedSender<Input>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        match event::poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) => return,
        }
        let input = match event::read() {
            Ok(event::Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
            Ok(event::Event::Resize(..)) => Input::Resized,
            Ok(_) => continue,
            Err(_) => return,
        };
        if inputs.send(input).is_err() {
            return;
        }
    }
}
