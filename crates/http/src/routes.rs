//! All routes. One that programs call is described where it is handled (`#[utoipa::path]`) and listed in
//! [`documented`]: so it is served, in `/openapi.json` and on `/docs`.

use crate::api::Api;
use crate::handlers::{
    alerts, backtests, bars, dashboard, deliveries, description, health, legacy, links, mailbox, me, pages,
    push, rules, session, sessions, snooze, sparklines, status, stream, subscribe, subscriptions, symbols,
    watchlist,
};
use crate::http::{cors, layer};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use qqq_core::Metric;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

impl Api {
    /// All routes, with everything around them except the connection's own limits.
    pub fn router(&self) -> Router {
        let around = axum::middleware::from_fn_with_state(self.clone(), layer::around);
        let (documented, _) = documented().split_for_parts();
        let mut shared = documented.merge(also()).layer(around.clone());
        // Outside of everything: problems, too, may be read by who may read answers.
        if let Some(cors) = cors::layer(&self.0.config.cors) {
            shared = shared.layer(cors);
        }
        shared.merge(people(self).layer(around)).with_state(self.clone())
    }

    /// Health, readiness and metrics, for a listener of their own.
    pub(crate) fn operators_router(&self) -> Router {
        let around = axum::middleware::from_fn_with_state(self.clone(), layer::around);
        operators().layer(around).with_state(self.clone())
    }
}

/// The API.
pub(crate) fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(symbols::symbols))
        .routes(routes!(symbols::symbol))
        .routes(routes!(bars::bars))
        .routes(routes!(symbols::rankings))
        .routes(routes!(sparklines::sparklines))
        .routes(routes!(sessions::sessions))
        .routes(routes!(alerts::alerts))
        .routes(routes!(alerts::alert))
        .routes(routes!(rules::rules))
        .routes(routes!(watchlist::watchlist))
        .routes(routes!(watchlist::search))
        .routes(routes!(watchlist::track, watchlist::untrack))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::replay))
        .routes(routes!(links::confirm_page, links::confirm))
        .routes(routes!(links::unsubscribe_page, links::unsubscribe))
        .routes(routes!(links::manage_page, links::manage))
        .routes(routes!(snooze::snooze_page, snooze::snooze))
        .routes(routes!(subscriptions::create))
        .routes(routes!(push::push))
        .routes(routes!(subscriptions::get, subscriptions::change, subscriptions::end))
        .routes(routes!(subscriptions::alerts))
        .routes(routes!(subscriptions::rotate))
        .routes(routes!(session::get, session::ask, session::end))
        .routes(routes!(session::link_page, session::sign_in))
        .routes(routes!(me::me, me::erase))
        .routes(routes!(me::subscriptions, me::add))
        .routes(routes!(me::change, me::end))
        .routes(routes!(me::alerts))
        .routes(routes!(me::export))
        .routes(routes!(backtests::run))
        .routes(routes!(stream::stream))
        .routes(routes!(dashboard::subscribe_page, subscribe::subscribe))
        .routes(routes!(legacy::price))
        .routes(routes!(legacy::prices))
        .routes(routes!(legacy::volume))
        .routes(routes!(legacy::further))
        .routes(routes!(status::status))
        .routes(routes!(mailbox::mailbox))
        .routes(routes!(mailbox::mail))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(description::openapi_json))
        .routes(routes!(description::docs))
}

/// What operators ask, on a listener of their own.
fn operators() -> Router<Api> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::operators_metrics))
}

/// Other spellings of what is in the API.
fn also() -> Router<Api> {
    let mut router =
        Router::new().route("/subscribe/", get(dashboard::subscribe_page).post(subscribe::subscribe));
    // Below these, pages and files have paths that say no more than `{anything}`.
    for ticker in ["s", "alerts", "assets"] {
        let names = Metric::ALL.map(|metric| (metric.as_str(), metric.as_str()));
        for (path, name) in names.into_iter().chain([("prices", Metric::Price.as_str())]) {
            let values = async move |State(api): State<Api>, headers: HeaderMap| {
                legacy::named(&api, ticker, name, &headers)
            };
            router = router.route(&format!("/{ticker}/{path}"), get(values));
        }
    }
    router
}

/// What people look at.
fn people(api: &Api) -> Router<Api> {
    Router::new()
        .route("/assets/style.css", get(pages::style))
        .route("/assets/local-times.js", get(pages::local_times))
        .route("/subscribe/form", get(pages::subscribe_form).post(pages::subscribe))
        .merge(dashboard::routes(&api.0.config.dashboard))
}
