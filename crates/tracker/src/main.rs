//! The binary: reads the command line, hands over, turns the outcome into an exit code.

use clap::Parser as _;
use qqq_tracker::app::{App, Roles};
use qqq_tracker::cli::{Cli, Command};
use qqq_tracker::clock::SystemClock;
use qqq_tracker::config::{ConfigError, PREFIX, Sources, load};
use qqq_tracker::{admin, backtest, check, export, import, manual, telemetry, watchlist};
use std::io::Write as _;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Usage or configuration error.
const USAGE: u8 = 2;
/// Run-time failure.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "qqq-tracker: {error:#}");
            let config = error
                .chain()
                .any(|cause| cause.is::<ConfigError>() || cause.is::<qqq_notify::InvalidConfig>());
            ExitCode::from(if config { USAGE } else { FAILURE })
        }
    }
}

/// Shows a tracker that runs somewhere: the settings here say nothing of it.
fn top(url: url::Url) -> anyhow::Result<ExitCode> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome =
        runtime.block_on(async { qqq_top::run(url, stop_on_signals()?).await.map_err(anyhow::Error::from) });
    // A thread may still wait for a key.
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}

fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    // These say what the program is, whatever the settings are.
    match &cli.command {
        Command::Completions { shell } => return manual::completions(*shell).map(|()| ExitCode::SUCCESS),
        Command::Man(args) => return manual::man(args).map(|()| ExitCode::SUCCESS),
        Command::Openapi => {
            std::io::stdout().write_all(qqq_http::openapi().as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Top(args) => return top(args.url.clone()),
        _ => {}
    }
    let mut flags = cli.settings.set;
    if let Command::Run(args) | Command::Server(args) = &cli.command
        && let Some(listen) = &args.listen
    {
        flags.push(("server.listen".to_owned(), listen.clone()));
    }
    let sources = Sources { file: cli.settings.config, environment: environment()?, flags };
    let config = load(&sources)?;
    telemetry::start(&config.log)?;
    // One TLS for everything; a second call finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Behind a pointer: what a runtime is given is compiled once for each way in which it may run that.
    let work: Pin<Box<dyn Future<Output = anyhow::Result<ExitCode>>>> = Box::pin(async {
        let stop = stop_on_signals()?;
        survive_a_limit_on_files()?;
        let clock = Arc::new(SystemClock::new());
        let roles = |worker, server| Roles { worker, server };
        match cli.command {
            Command::Run(_) => App::open(config, clock).await?.run(roles(true, true), stop).await?,
            Command::Server(_) => App::open(config, clock).await?.run(roles(false, true), stop).await?,
            Command::Worker(args) if args.once => App::open(config, clock).await?.once(stop).await?,
            Command::Worker(_) => App::open(config, clock).await?.run(roles(true, false), stop).await?,
            Command::Import(args) => import::run(&config, &args, stop).await?,
            Command::Export(args) => export::run(&config, &args, stop).await?,
            Command::Backtest(args) => backtest::run(&config, &args, stop).await?,
            Command::Admin(command) => admin::run(&config, command, &*clock, stop).await?,
            Command::Watchlist(command) => watchlist::run(&config, &sources, &command).await?,
            // Answered above.
            Command::Completions { .. } | Command::Man(_) | Command::Openapi | Command::Top(_) => {}
            Command::Check(args) => {
                let sound = check::run(&config, &sources, clock, args.mail_to.as_ref()).await?;
                return Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(FAILURE) });
            }
        }
        Ok(ExitCode::SUCCESS)
    });
    let code = runtime.block_on(work);
    // What still blocks a thread (a look-up, a slow disk) does not hold the exit up.
    runtime.shutdown_background();
    code
}

/// The environment's settings. Names and values that are not text are somebody else's, unless they are ours.
fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let mut settings = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        if name.starts_with(PREFIX) {
            let value =
                value.into_string().map_err(|_| ConfigError::value(&name, "the value is not UTF-8 text"))?;
            settings.push((name, value));
        }
    }
    Ok(settings)
}

/// A write beyond the size that a file may have (RLIMIT_FSIZE) ends the process by SIGXFSZ, unless somebody
/// listens: then it fails, as on a full disk. To have listened once is enough.
fn survive_a_limit_on_files() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

/// The first SIGTERM or SIGINT asks everybody to finish; the second ends the process at once.
fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = stop.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if token.is_cancelled() {
                std::process::exit(i32::from(FAILURE));
            }
            tracing::info!("stopping; once more to stop at once");
            token.cancel();
        }
    });
    Ok(stop)
}
