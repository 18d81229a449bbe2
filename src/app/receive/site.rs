//! What is where at a receiver, and what becomes of an upload.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::numbers::Numbers;
use super::upload::{Refusal, claim, drain, read};
use crate::app::http::{Access, Answers, Body, closing, of_kind, text, turned_away, verdict};
use crate::app::log;
use crate::error::{Error, Result};
use crate::pipeline::archive::{Archive, Taken};

/// Bytes of uploads that are in memory at once, in units of so many.
const AT_ONCE: usize = 64 << 20;
const UNIT: usize = 64 << 10;
/// What an upload must say it is: a browser cannot send that from some other page without asking.
const KIND: &str = "application/x-tamis";
/// Seconds after which to try again when there is no room.
const AGAIN: HeaderValue = HeaderValue::from_static("1");

const JSON: &str = "application/json";
const ROUTES: &str = "no such page; there are\n\
    POST /v1/packets/DEVICE/STREAM  takes a batch: a .tamis stream, sent as application/x-tamis\n\
    /v1/status                      what is here, as JSON\n\
    /metrics                        counters, for Prometheus\n\
    /healthz                        whether the process is well\n";

/// All that answers need.
pub struct Site {
    access: Access,
    archive: Arc<Archive>,
    numbers: Arc<Numbers>,
    /// Units that are free.
    room: Semaphore,
}

impl Site {
    /// A site that nobody has visited yet.
    pub fn new(access: Access, archive: Arc<Archive>, numbers: Arc<Numbers>) -> Self {
        Self { access, archive, numbers, room: Semaphore::new(AT_ONCE / UNIT) }
    }

    /// Takes an upload.
    async fn take(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let names = path.strip_prefix("/v1/packets/").and_then(|p| p.split_once('/'));
        let Some((device, stream)) = names.map(|(d, s)| (d.to_owned(), s.to_owned())) else {
            drain(request.into_body()).await;
            return closing(text(StatusCode::NOT_FOUND, ROUTES));
        };
        let kind = request.headers().get(CONTENT_TYPE).and_then(|k| k.to_str().ok());
        if kind.is_none_or(|k| !k.trim().eq_ignore_ascii_case(KIND)) {
            let words = format!("send it as Content-Type: {KIND}");
            drain(request.into_body()).await;
            return self.refuse((StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
        }
        let claim = match claim(&request) {
            Ok(bytes) => bytes,
            Err(refusal) => return self.refuse(refusal),
        };
        // Many who are slow may send little each, few may send much.
        let Ok(_room) = self.room.try_acquire_many(claim.div_ceil(UNIT).max(1) as u32) else {
            drain(request.into_body()).await;
            let words = "there is no room for more uploads; try again".into();
            let mut response = self.refuse((StatusCode::SERVICE_UNAVAILABLE, words));
            response.headers_mut().insert(RETRY_AFTER, AGAIN);
            return response;
        };
        let bytes = match read(request.into_body()).await {
            Ok(bytes) => bytes,
            Err(refusal) => return self.refuse(refusal),
        };
        let (archive, name) = (self.archive.clone(), format!("{device}/{stream}"));
        // The disk may take its time; others are answered meanwhile.
        let stored = tokio::task::spawn_blocking(move || {
            let taken = archive.take(&device, &stream, &bytes);
            (bytes.len(), taken)
        });
        match stored.await {
            Ok((len, taken)) => self.answer_to(&name, len, taken),
            Err(_) => {
                let words = "storing it panicked".into();
                self.refuse((StatusCode::INTERNAL_SERVER_ERROR, words))
            }
        }
    }

    fn answer_to(&self, name: &str, len: usize, taken: Result<Taken>) -> Response<Body> {
        let taken = match taken {
            Ok(taken) => taken,
            Err(e) => {
                let status = match &e {
                    Error::Io { why, .. } => match why.kind() {
                        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                            StatusCode::INSUFFICIENT_STORAGE
                        }
                        _ => StatusCode::INTERNAL_SERVER_ERROR,
                    },
                    Error::Limit { .. } => StatusCode::UNPROCESSABLE_ENTITY,
                    _ => StatusCode::BAD_REQUEST,
                };
                log::error(Some(name), &e);
                let last = matches!(e, Error::Bitstream { .. });
                return self.refuse_for(status, &e.to_string(), last);
            }
        };
        self.numbers.took(len, &taken);
        let Taken { stored, known, damaged, conflicts, conflict } = taken;
        if conflicts == 0 {
            return json_of(
                StatusCode::OK,
                &json!({ "stored": stored, "known": known, "damaged": damaged }),
            );
        }
        let index = conflict.unwrap_or_default();
        let words = format!(
            "{conflicts} packets are others than those that are here with their index, as packet {index}: \
             has {name} two senders, or was its store begun anew? Give it another device name"
        );
        log::error(Some(name), &words);
        json_of(
            StatusCode::CONFLICT,
            &json!({
                "error": words, "stored": stored, "known": known, "damaged": damaged,
                "conflicts": conflicts,
            }),
        )
    }

    /// Says no, and why. A batch that is wrong in itself will be so again.
    fn refuse(&self, (status, words): Refusal) -> Response<Body> {
        self.refuse_for(status, &words, status == StatusCode::PAYLOAD_TOO_LARGE)
    }

    fn refuse_for(&self, status: StatusCode, words: &str, last: bool) -> Response<Body> {
        self.numbers.refused();
        closing(json_of(status, &json!({ "error": words, "final": last })))
    }
}

impl Answers for Site {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let judged = self.access.judge(request.uri(), request.headers());
        if let Some(response) = turned_away(&judged) {
            drain(request.into_body()).await;
            return closing(response);
        }
        let (method, path) = (request.method(), request.uri().path());
        match (method, path) {
            (&Method::POST, _) => self.take(request).await,
            (&Method::GET | &Method::HEAD, "/v1/status") => {
                json_of(StatusCode::OK, &self.numbers.json(&self.archive))
            }
            (&Method::GET | &Method::HEAD, "/metrics") => {
                let kind = "text/plain; version=0.0.4; charset=utf-8";
                of_kind(StatusCode::OK, kind, self.numbers.metrics(&self.archive))
            }
            (&Method::GET | &Method::HEAD, "/healthz") => verdict((true, "well".into())),
            (&Method::GET | &Method::HEAD, _) => text(StatusCode::NOT_FOUND, ROUTES),
            _ => {
                let words = "only GET, HEAD and POST\n";
                let mut response = text(StatusCode::METHOD_NOT_ALLOWED, words);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
                closing(response)
            }
        }
    }
}

fn json_of(status: StatusCode, value: &Value) -> Response<Body> {
    of_kind(status, JSON, value.to_string() + "\n")
}
