//! All routes. One that programs call is described where it is handled (`#[utoipa::path]`) and listed in
//! [`documented`]: so it is served, in `/openapi.json` and on `/docs`.

use crate::dashboard::Dashboard;
use crate::{
    Api, backtests, bars, dashboard, form, health, mailbox, openapi, original, page, sessions, sparklines,
    status, stream, subscribe, subscriptions, v1,
};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use qqq_core::Metric;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The API.
pub(crate) fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(v1::symbols))
        .routes(routes!(v1::symbol))
        .routes(routes!(bars::bars))
        .routes(routes!(v1::rankings))
        .routes(routes!(sparklines::sparklines))
        .routes(routes!(sessions::sessions))
        .routes(routes!(v1::alerts))
        .routes(routes!(v1::alert))
        .routes(routes!(form::confirm_page, form::confirm))
        .routes(routes!(form::unsubscribe_page, form::unsubscribe))
        .routes(routes!(form::manage_page, form::manage))
        .routes(routes!(subscriptions::create))
        .routes(routes!(subscriptions::get, subscriptions::change, subscriptions::end))
        .routes(routes!(subscriptions::alerts))
        .routes(routes!(subscriptions::rotate))
        .routes(routes!(backtests::run))
        .routes(routes!(stream::stream))
        .routes(routes!(dashboard::subscribe_page, subscribe::subscribe))
        .routes(routes!(original::price))
        .routes(routes!(original::prices))
        .routes(routes!(original::volume))
        .routes(routes!(status::status))
        .routes(routes!(mailbox::mailbox))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::openapi_json))
        .routes(routes!(openapi::docs))
}

/// What operators ask, on a listener of their own.
pub(crate) fn operators() -> Router<Api> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::operators_metrics))
}

/// Other spellings of what is in the API.
pub(crate) fn also() -> Router<Api> {
    let mut router = Router::new()
        .route("/subscribe/", get(dashboard::subscribe_page).post(subscribe::subscribe))
        .route("/{ticker}/{metric}", get(original::no_metric));
    // Below these, pages and files have paths that say no more than `{anything}`.
    for ticker in ["s", "alerts", "assets"] {
        for (name, metric) in
            [("price", Metric::Price), ("prices", Metric::Price), ("volume", Metric::Volume)]
        {
            let values =
                async move |State(api): State<Api>, headers: HeaderMap| api.values(ticker, metric, &headers);
            router = router.route(&format!("/{ticker}/{name}"), get(values));
        }
    }
    router
}

/// What people look at.
pub(crate) fn pages(dashboard: &Dashboard) -> Router<Api> {
    Router::new()
        .route("/assets/style.css", get(page::style))
        .route("/subscribe/form", get(page::subscribe_form).post(form::subscribe))
        .merge(dashboard.routes())
}
