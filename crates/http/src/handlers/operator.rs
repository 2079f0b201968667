//! Whoever may operate: change the watchlist, see what was not delivered, and send it again.

use crate::api::Api;
use crate::handlers::session::{changing_reader, reader};
use crate::http::problem::Problem;
use crate::http::this_machine::is_of_this_machine;
use axum::http::{Request, StatusCode};
use qqq_engine::account::Reader;
use qqq_store::StoreError;

/// Whether a request is an operator's: somebody signed in with an address that operates, or at the machine of
/// a demonstration.
pub(crate) fn is_operator<B>(
    api: &Api,
    request: &Request<B>,
) -> impl Future<Output = Result<bool, StoreError>> {
    let (is_local, headers) = (is_local(api, request), request.headers());
    async move { Ok(is_local || reader(api, headers).await?.is_some_and(|reader| reader.is_operator())) }
}

/// Fails where a request is not an operator's, or wants something changed and comes from a page of another
/// site.
pub(crate) fn operators_only<B>(
    api: &Api,
    request: &Request<B>,
) -> impl Future<Output = Result<(), Problem>> {
    let (is_local, changes) = (is_local(api, request), !request.method().is_safe());
    let headers = request.headers();
    async move {
        if is_local {
            return Ok(());
        }
        let reader = match reader(api, headers).await? {
            Some(_) if changes => Some(changing_reader(api, headers).await?),
            reader => reader,
        };
        if reader.as_ref().is_some_and(Reader::is_operator) { Ok(()) } else { Err(no_operator()) }
    }
}

fn is_local<B>(api: &Api, request: &Request<B>) -> bool {
    api.0.config.local_operator && is_of_this_machine(request)
}

fn no_operator() -> Problem {
    let detail = "only an operator may do this: an address in server.operators, signed in; \
                  with a simulated market on this machine alone, whoever is at it";
    Problem::new(StatusCode::FORBIDDEN, "no_operator", detail)
}
