//! What is where, and what each answer says about itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::Pages;
use super::access::{Access, Verdict};
use super::body::{Body, Events};
use super::connections::Answers;

/// From event to event.
pub const EVENT_EVERY: Duration = Duration::from_millis(500);
/// Listeners to events at most.
const LISTENERS: usize = 16;

const TEXT: &str = "text/plain; charset=utf-8";
const ROUTES: &str = "no such page; there are\n\
    /                  what the sieve sees, live\n\
    /status            the same as JSON\n\
    /events            the same as server-sent events\n\
    /metrics           counters, for Prometheus\n\
    /healthz           whether the process is well\n\
    /readyz            whether the streams deliver\n\
    /preview/NAME.png  the newest picture of a stream\n";
const NO_TOKEN: &str =
    "a token is needed: send `Authorization: Bearer TOKEN`, or open /?token=TOKEN once\n";
const WRONG_HOST: &str = "only for this machine: open it as localhost or 127.0.0.1\n";

/// All that answers need.
pub struct Site {
    access: Access,
    pages: Arc<dyn Pages>,
    listeners: Arc<Semaphore>,
    /// The last event and when it was made: listeners share it.
    event: Mutex<Option<(Instant, Bytes)>>,
}

impl Site {
    /// A site that nobody has visited yet.
    pub fn new(access: Access, pages: Arc<dyn Pages>) -> Self {
        let listeners = Arc::new(Semaphore::new(LISTENERS));
        Self { access, pages, listeners, event: Mutex::new(None) }
    }

    /// The status as an event, at most half a pace old.
    pub fn event(&self) -> Bytes {
        let mut event = self.event.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, bytes)) = event.as_ref()
            && made.elapsed() < EVENT_EVERY / 2
        {
            return bytes.clone();
        }
        // JSON on one line: a line break would end the event.
        let bytes = Bytes::from(format!("data: {}\n\n", self.pages.status()));
        *event = Some((Instant::now(), bytes.clone()));
        bytes
    }
}

impl Answers for Site {
    /// Answers a request. Its body is never read.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let verdict = self.access.judge(request.uri(), request.headers());
        if let Some(response) = turned_away(&verdict) {
            return response;
        }
        let only_head = request.method() == Method::HEAD;
        if request.method() != Method::GET && !only_head {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            put(&mut response, ALLOW, "GET, HEAD");
            return closing(response);
        }
        route(&self, request.uri().path(), only_head)
    }
}

/// The answer to who may not come in, or not this way.
pub fn turned_away(verdict: &Verdict) -> Option<Response<Body>> {
    match verdict {
        Verdict::Welcome => None,
        Verdict::Entered(cookie) => Some(entered(cookie)),
        Verdict::Unknown => {
            let mut response = text(StatusCode::UNAUTHORIZED, NO_TOKEN);
            put(&mut response, WWW_AUTHENTICATE, "Bearer");
            Some(response)
        }
        Verdict::WrongHost => Some(text(StatusCode::FORBIDDEN, WRONG_HOST)),
    }
}

/// The same answer, and the end: whatever body still comes is not waited for.
pub fn closing(mut response: Response<Body>) -> Response<Body> {
    put(&mut response, CONNECTION, "close");
    response
}

fn route(site: &Arc<Site>, path: &str, only_head: bool) -> Response<Body> {
    let page = |kind, text: &'static str| of_kind(StatusCode::OK, kind, text.as_bytes());
    let pages = &site.pages;
    match path {
        "/" => page("text/html; charset=utf-8", include_str!("../page/page.html")),
        "/page.css" => page("text/css; charset=utf-8", include_str!("../page/page.css")),
        "/page.js" => page("text/javascript; charset=utf-8", include_str!("../page/page.js")),
        "/icon.svg" => page("image/svg+xml", include_str!("../page/icon.svg")),
        "/status" => of_kind(StatusCode::OK, "application/json", pages.status().to_string()),
        "/metrics" => {
            of_kind(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", pages.metrics())
        }
        "/healthz" => verdict(pages.health()),
        "/readyz" => verdict(pages.ready()),
        "/events" => events(site, only_head),
        _ => {
            let name = path.strip_prefix("/preview/").and_then(|p| p.strip_suffix(".png"));
            match name.map(|name| pages.preview(&decoded(name))) {
                Some(Some(png)) => of_kind(StatusCode::OK, "image/png", png),
                Some(None) => text(StatusCode::NOT_FOUND, "no picture\n"),
                None => text(StatusCode::NOT_FOUND, ROUTES),
            }
        }
    }
}

/// Whether all is well, in words.
pub fn verdict((good, words): (bool, String)) -> Response<Body> {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    of_kind(status, TEXT, words + "\n")
}

fn events(site: &Arc<Site>, only_head: bool) -> Response<Body> {
    const KIND: &str = "text/event-stream";
    if only_head {
        return of_kind(StatusCode::OK, KIND, Bytes::new());
    }
    let Ok(place) = site.listeners.clone().try_acquire_owned() else {
        let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "too many listeners\n");
        put(&mut response, RETRY_AFTER, "5");
        return response;
    };
    let mut response = of_kind(StatusCode::OK, KIND, Bytes::new());
    *response.body_mut() = Body::Events(Box::new(Events::new(site.clone(), place)));
    response
}

/// Sends a browser that brought the token on to the page, with a cookie in its stead.
fn entered(cookie: &str) -> Response<Body> {
    let mut response = text(StatusCode::SEE_OTHER, "");
    put(&mut response, LOCATION, "/");
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// Words of ours.
pub fn text(status: StatusCode, words: &'static str) -> Response<Body> {
    of_kind(status, TEXT, words.as_bytes())
}

/// Bytes of a kind, which nobody keeps or takes for another.
pub fn of_kind(status: StatusCode, kind: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::Whole(bytes.into()));
    *response.status_mut() = status;
    put(&mut response, CONTENT_TYPE, kind);
    put(&mut response, CACHE_CONTROL, "no-store");
    put(&mut response, CONTENT_SECURITY_POLICY, "default-src 'self'; frame-ancestors 'none'");
    put(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(&mut response, REFERRER_POLICY, "no-referrer");
    // Pages elsewhere may not show our pictures.
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    put(&mut response, policy, "same-origin");
    response
}

fn put(response: &mut Response<Body>, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// A part of an address with its `%XX` resolved; what is no UTF-8 then names nothing.
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        let hex = text.get(i + 1..i + 3).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
        match hex.filter(|_| byte == b'%').and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(resolved) => {
                out.push(resolved);
                i += 3;
            }
            None => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn escapes_are_resolved_and_what_is_none_stays() {
        for (typed, meant) in [
            ("gate", "gate"),
            ("a%20b", "a b"),
            ("%C3%A9", "é"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%2", "%2"),
            ("%+1", "%+1"),
            ("a+b/c=", "a+b/c="),
            ("%é9", "%é9"),
        ] {
            assert_eq!(decoded(typed), meant);
        }
    }
}
