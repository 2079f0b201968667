//! All routes. One that programs call is described where it is handled (`#[utoipa::path]`) and listed in
//! [`documented`]: so it is served, in `/openapi.json` and on `/docs`.

use crate::{
    Api, backtests, bars, form, health, openapi, original, page, stream, subscribe, subscriptions, v1,
};
use axum::Router;
use axum::routing::{get, post};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The API.
pub(crate) fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(v1::symbols))
        .routes(routes!(v1::symbol))
        .routes(routes!(bars::bars))
        .routes(routes!(v1::rankings))
        .routes(routes!(v1::alerts))
        .routes(routes!(v1::alert))
        .routes(routes!(form::confirm_page, form::confirm))
        .routes(routes!(form::unsubscribe_page, form::unsubscribe))
        .routes(routes!(form::manage_page, form::manage))
        .routes(routes!(subscriptions::create))
        .routes(routes!(subscriptions::get, subscriptions::change, subscriptions::end))
        .routes(routes!(subscriptions::rotate))
        .routes(routes!(backtests::run))
        .routes(routes!(stream::stream))
        .routes(routes!(subscribe::subscribe))
        .routes(routes!(original::price))
        .routes(routes!(original::prices))
        .routes(routes!(original::volume))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::openapi_json))
        .routes(routes!(openapi::docs))
}

/// Other spellings of what is in the API.
pub(crate) fn also() -> Router<Api> {
    Router::new()
        .route("/subscribe/", post(subscribe::subscribe))
        // The ticker `S` exists, and the original endpoints take any case.
        .route("/s/price", get(original::price_of_s))
        .route("/s/prices", get(original::price_of_s))
        .route("/s/volume", get(original::volume_of_s))
        .route("/{ticker}/{metric}", get(original::no_metric))
}

/// What people look at.
pub(crate) fn pages() -> Router<Api> {
    Router::new()
        .route("/", get(page::overview))
        .route("/s/{symbol}", get(page::symbol))
        .route("/assets/style.css", get(page::style))
        .route("/subscribe/form", get(page::subscribe_form).post(form::subscribe))
}
