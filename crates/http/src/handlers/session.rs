//! `/v1/session`: signing in by a link in a mail, and out; and who is signed in.
//!
//! A browser holds its session's token in a cookie, which it sends along by itself. So whatever changes
//! something by it must have been asked for by a page of ours: [`changing_reader`].

use crate::api::Api;
use crate::dto::account::{SessionIn, SessionOut, SignInTakenOut};
use crate::handlers::sign_up::refusal;
use crate::http::body::read_body;
use crate::http::fields::{Fields, must_be_json};
use crate::http::form::{is_surely_from_us, token_in};
use crate::http::problem::Problem;
use crate::page::{Message, Tone};
use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qqq_core::subscription::EmailAddress;
use qqq_core::subscription::session::SIGNED_IN_FOR;
use qqq_core::subscription::token::Token;
use qqq_engine::account::Reader;
use qqq_store::StoreError;
use std::net::IpAddr;

/// Where a browser goes on that was signed in.
const ACCOUNT: &str = "/me";

/// Has a page's form say which page sends it. By plain http at a host that is not this machine, browsers send
/// no `Sec-Fetch-Site`, and of a page without referrers their `Origin` is `null`, as a foreign page's may be
/// (Fetch, "append a request `Origin` header"). Other sites hear nothing of the page all the same.
const SAYS_ITS_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// `GET /v1/session`.
#[utoipa::path(
    get,
    path = "/v1/session",
    tag = "account",
    operation_id = "getSession",
    summary = "Whether this browser is signed in",
    description = "By the cookie that it got when its link was used. Never a problem: for pages that look \
        different then.",
    responses((status = 200, description = "Whether, and as whom", body = SessionOut)),
)]
pub(crate) async fn get(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let reader = reader(&api, &headers).await?;
    Ok(Json(SessionOut::new(reader.as_ref())).into_response())
}

/// `POST /v1/session`.
#[utoipa::path(
    post,
    path = "/v1/session",
    tag = "account",
    operation_id = "askToSignIn",
    summary = "Ask for a link to sign in",
    description = "A mail with a link goes out where the address has active alerts, or is an operator's: at \
        most one in 10 minutes and 40 a day. The link works once, within 15 minutes. The answer is the same \
        whoever's the address is, and so is its time.",
    request_body(content = SessionIn, content_type = "application/json"),
    responses(
        (status = 202, description = "Taken", body = SignInTakenOut),
        (status = 400, description = "The body is not JSON"),
        (status = 408),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 415, description = "The body is not sent as `application/json`"),
        (status = 422),
        (status = 429),
        (status = 503, description = "Too many wait for their link already, or the store does not answer"),
    ),
)]
pub(crate) async fn ask(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let client = api.client(&request);
    api.0.posts.check(client)?;
    must_be_json(request.headers())?;
    let body = read_body(&api.0.config.limits, request.into_body()).await?;
    let mut fields = Fields::of_json(&body, &["email"])?;
    let text = fields.text("email");
    let address = text.and_then(|text| fields.parsed("email", text.trim().parse::<EmailAddress>()));
    ask_for_link(&api, client, fields.finish(address)?).await?;
    Ok((StatusCode::ACCEPTED, Json(SignInTakenOut::default())).into_response())
}

/// Takes a client's request for a link, within the client's limits: those of sign-ups, as a mail may follow.
pub(crate) async fn ask_for_link(api: &Api, client: IpAddr, address: EmailAddress) -> Result<(), Problem> {
    let inner = &*api.0;
    inner.sign_ups.check(client)?;
    inner.sign_ups_per_hour.check(client)?;
    inner.wide_sign_ups_per_hour.check(client)?;
    inner.accounts.ask(address).await.map_err(|error| refusal(api, error))
}

/// `DELETE /v1/session`.
#[utoipa::path(
    delete,
    path = "/v1/session",
    tag = "account",
    operation_id = "signOut",
    summary = "Sign this browser out",
    description = "At once. Whoever is not signed in is signed out already.",
    responses(
        (status = 204, description = "It is signed out, and its cookie is gone"),
        (status = 403, description = "Asked for by a page of another site"),
        (status = 429),
    ),
    security((), ("session" = [])),
)]
pub(crate) async fn end(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    api.0.posts.check(api.client(&request))?;
    if session_token(&api, request.headers()).is_some() {
        must_be_ours(&api, request.headers())?;
        if let Some(reader) = reader(&api, request.headers()).await? {
            api.0.accounts.end(&reader).await?;
        }
    }
    Ok(signed_out(&api))
}

/// `GET /v1/session/link?token=`: asks, and changes nothing.
#[utoipa::path(
    get,
    path = "/v1/session/link",
    tag = "account",
    operation_id = "signInPage",
    summary = "The page a mail's link to sign in leads to",
    description = "Asks, and changes nothing: mail software opens every link it sees.",
    params(("token" = String, Query, description = "From the mail.", example = "kq2m")),
    responses(
        (status = 200, description = "A page with a button", body = String, content_type = "text/html"),
        (status = 404, description = "The link was used, is too old, or never was"),
    ),
)]
pub(crate) async fn link_page(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let Some(link) = token_in(query.as_deref().unwrap_or_default().as_bytes()) else { return no_link(&api) };
    match api.0.accounts.signs_in_as(&link).await {
        Ok(Some(address)) => {
            let text = format!(
                "This browser then sees and changes the alerts of {}, for 30 days or until you sign out.",
                address.expose()
            );
            let message = Message::new(Tone::Plain, "Sign in?", &text).ask("Sign in");
            let mut page = api.0.pages.answer(StatusCode::OK, &message);
            page.headers_mut().insert(header::REFERRER_POLICY, SAYS_ITS_ORIGIN);
            page
        }
        Ok(None) => no_link(&api),
        Err(error) => api.0.pages.problem(&error.into()),
    }
}

/// `POST /v1/session/link?token=`: signs in.
#[utoipa::path(
    post,
    path = "/v1/session/link",
    tag = "account",
    operation_id = "signIn",
    summary = "Sign this browser in",
    description = "What the page's button sends, with `Sec-Fetch-Site: same-origin` or its `Origin`. The \
        answer sets the cookie that the other paths of an account take, and leads to its page.",
    params(("token" = String, Query, description = "From the mail.", example = "kq2m")),
    responses(
        (status = 303, description = "Signed in: on to the page of one's own alerts"),
        (status = 403, description = "Asked for by a page of another site, or it is not said by which"),
        (status = 408),
        (status = 404, description = "The link was used, is too old, or never was"),
        (status = 413, description = "The body is over 16 KiB"),
        (status = 429),
    ),
)]
pub(crate) async fn sign_in(State(api): State<Api>, RawQuery(query): RawQuery, request: Request) -> Response {
    match signed_in(&api, query.as_deref(), request).await {
        Ok(response) => response,
        Err(problem) => api.0.pages.problem(&problem),
    }
}

async fn signed_in(api: &Api, query: Option<&str>, request: Request) -> Result<Response, Problem> {
    api.0.posts.check(api.client(&request))?;
    // Nobody is to be signed in as somebody else by a page of theirs.
    let ours = is_surely_from_us(request.headers(), &api.0.config.public_url);
    // Read in any case, so that the connection can be used again.
    read_body(&api.0.config.limits, request.into_body()).await?;
    if !ours {
        return Err(cross_site());
    }
    let Some(link) = token_in(query.unwrap_or_default().as_bytes()) else { return Ok(no_link(api)) };
    let token = api.0.accounts.sign_in(&link).await.map_err(|error| refusal(api, error))?;
    let Some(token) = token else { return Ok(no_link(api)) };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_static(ACCOUNT));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set_cookie(api, headers, token.expose(), SIGNED_IN_FOR.as_secs());
    Ok(response)
}

/// The link signs nobody in. Which of the reasons it is, is not told.
fn no_link(api: &Api) -> Response {
    let text = "It works once, within 15 minutes of its mail. Ask for another one, and open it here.";
    let message = Message::new(Tone::Bad, "This link does not sign in any more", text)
        .leading_to(&[(ACCOUNT, "Ask for another link")]);
    api.0.pages.answer(StatusCode::NOT_FOUND, &message)
}

/// Who is signed in, by the cookie of a request. For what only reads.
pub(crate) async fn reader(api: &Api, headers: &HeaderMap) -> Result<Option<Reader>, StoreError> {
    match session_token(api, headers) {
        Some(token) => api.0.accounts.reader(token.hash()).await,
        None => Ok(None),
    }
}

/// The same, or a 401.
pub(crate) async fn must_read(api: &Api, headers: &HeaderMap) -> Result<Reader, Problem> {
    reader(api, headers).await?.ok_or_else(signed_out_problem)
}

/// The same for what changes something: a 403 where a page of another site asks for it.
pub(crate) async fn changing_reader(api: &Api, headers: &HeaderMap) -> Result<Reader, Problem> {
    if session_token(api, headers).is_none() {
        return Err(signed_out_problem());
    }
    must_be_ours(api, headers)?;
    must_read(api, headers).await
}

fn must_be_ours(api: &Api, headers: &HeaderMap) -> Result<(), Problem> {
    if is_surely_from_us(headers, &api.0.config.public_url) { Ok(()) } else { Err(cross_site()) }
}

fn signed_out_problem() -> Problem {
    let detail = "sign in first: `POST /v1/session` has a link sent";
    Problem::new(StatusCode::UNAUTHORIZED, "signed_out", detail)
}

fn cross_site() -> Problem {
    let detail = "this may only be asked for by a page of this site: \
        `Sec-Fetch-Site: same-origin`, or its `Origin`";
    Problem::new(StatusCode::FORBIDDEN, "cross_site", detail)
}

/// The cookie's name. With `https`, one that no other host can set (RFC 6265bis, section 4.1.3.2).
fn cookie_name(api: &Api) -> &'static str {
    if is_secure(api) { "__Host-qqq_session" } else { "qqq_session" }
}

fn is_secure(api: &Api) -> bool {
    api.0.config.public_url.scheme() == "https"
}

/// The session's token, if the request carries one cookie of the name.
fn session_token(api: &Api, headers: &HeaderMap) -> Option<Token> {
    let name = cookie_name(api);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(given, _)| *given == name)
        .and_then(|(_, value)| Token::parse(value))
}

fn set_cookie(api: &Api, headers: &mut HeaderMap, value: &str, seconds: i64) {
    let (name, secure) = (cookie_name(api), if is_secure(api) { "; Secure" } else { "" });
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
}

/// The answer that has a browser forget its cookie.
pub(crate) fn signed_out(api: &Api) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(api, response.headers_mut(), "", 0);
    response
}
