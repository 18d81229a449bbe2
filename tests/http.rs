//! The daemon's own pages: every route, who may see them, and visitors who behave badly.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tamis::app::http::{Pages, Server};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";
const TOKEN: &str = "a+long/token=";

/// Pages that count how often they were asked.
#[derive(Default)]
struct Made {
    asked: AtomicU64,
    sick: bool,
    /// Of the metrics, to have something that does not fit a socket's buffer.
    long: usize,
}

impl Pages for Made {
    fn health(&self) -> (bool, String) {
        (!self.sick, "well".into())
    }

    fn ready(&self) -> (bool, String) {
        (false, "gate: silent for 9 s".into())
    }

    fn status(&self) -> serde_json::Value {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        serde_json::json!({ "version": "0", "asked": asked, "words": "two\nlines" })
    }

    fn metrics(&self) -> String {
        format!("tamis_up 1\n{}", "#".repeat(self.long))
    }

    fn preview(&self, stream: &str) -> Option<Vec<u8>> {
        (stream == "north gate").then(|| PNG.to_vec())
    }
}

fn start(token: Option<&str>) -> Server {
    serve(token, Made::default())
}

fn serve(token: Option<&str>, pages: Made) -> Server {
    let any = "127.0.0.1:0".parse().unwrap();
    Server::start(any, token.map(str::to_owned), Arc::new(pages)).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    stream
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|l| l.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Sends one request with more header lines, and reads until the server closes.
fn ask(address: SocketAddr, line: &str, headers: &str) -> Answer {
    let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
    let mut stream = connect(address);
    let request = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    read_answer(&mut stream)
}

fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: bytes[end + 4..].to_vec() }
}

fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, &format!("GET {path}"), "")
}

/// How long a look at the health takes that succeeds.
fn health_takes(address: SocketAddr) -> Duration {
    let began = Instant::now();
    assert_eq!(get(address, "/healthz").status, 200);
    began.elapsed()
}

/// Looks at the health twenty times: nearly always at once, and never late even if this machine is busy.
fn assert_health_is_quick(address: SocketAddr) {
    let mut looks: Vec<Duration> = (0..20).map(|_| health_takes(address)).collect();
    looks.sort();
    assert!(looks[17] < Duration::from_millis(100), "{looks:?}");
    assert!(looks[19] < Duration::from_secs(1), "{looks:?}");
}

/// Whether the other side closes within a time.
fn closes_within(stream: &mut TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Begins to listen and reads up to the first event.
fn listen(address: SocketAddr) -> (TcpStream, String) {
    let mut stream = connect(address);
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    read_until(&mut stream, &mut text, |t| t.contains("\n\n\r\n") || t.contains(" 503 "));
    (stream, text)
}

fn read_until(stream: &mut TcpStream, text: &mut String, enough: impl Fn(&str) -> bool) {
    let mut bytes = [0; 4096];
    while !enough(text) {
        let read = stream.read(&mut bytes).unwrap();
        assert!(read > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
}

#[test]
fn every_route_answers_with_its_kind() {
    let server = start(None);
    for (path, status, kind, holds) in [
        ("/", 200, "text/html; charset=utf-8", "<!doctype html>"),
        ("/?whatever", 200, "text/html; charset=utf-8", "page.js"),
        ("/page.css", 200, "text/css; charset=utf-8", "prefers-color-scheme"),
        ("/page.js", 200, "text/javascript; charset=utf-8", "EventSource"),
        ("/icon.svg", 200, "image/svg+xml", "<svg"),
        ("/status", 200, "application/json", r#"{"version":"0","asked":0,"words":"two\nlines"}"#),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "tamis_up 1\n"),
        ("/healthz", 200, "text/plain; charset=utf-8", "well\n"),
        ("/readyz", 503, "text/plain; charset=utf-8", "gate: silent for 9 s\n"),
        ("/preview/north%20gate.png", 200, "image/png", ""),
        ("/preview/south.png", 404, "text/plain; charset=utf-8", "no picture"),
        ("/preview/north%20gate", 404, "text/plain; charset=utf-8", "/preview/NAME.png"),
        ("/attic", 404, "text/plain; charset=utf-8", "/metrics"),
        ("//healthz", 404, "text/plain; charset=utf-8", "/metrics"),
    ] {
        let answer = get(server.address(), path);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self'"), "{path}: {policy}");
        match kind {
            "image/png" => assert_eq!(answer.body, PNG),
            _ => assert!(answer.text().contains(holds), "{path}: {}", answer.text()),
        }
    }
    let sick = serve(None, Made { sick: true, ..Made::default() });
    assert_eq!(get(sick.address(), "/healthz").status, 503);
}

#[test]
fn head_answers_as_get_without_the_body() {
    let server = start(None);
    for path in ["/", "/healthz", "/metrics", "/attic", "/preview/north%20gate.png"] {
        let (head, whole) =
            (ask(server.address(), &format!("HEAD {path}"), ""), get(server.address(), path));
        assert_eq!((head.status, head.body.len()), (whole.status, 0), "{path}");
        assert_eq!(head.header("content-length"), whole.header("content-length"), "{path}");
        assert_eq!(head.header("content-length"), Some(&*whole.body.len().to_string()), "{path}");
    }
    let events = ask(server.address(), "HEAD /events", "");
    assert_eq!((events.status, events.header("content-type")), (200, Some("text/event-stream")));
}

#[test]
fn other_methods_are_refused_and_bodies_not_waited_for() {
    let server = start(None);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let answer = ask(server.address(), &format!("{method} /status"), "");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    // A body that is announced and never comes.
    let answer = ask(server.address(), "POST /status", "Content-Length: 1000000\r\n");
    assert_eq!(answer.status, 405);
    let answer = ask(server.address(), "GET /healthz", "Content-Length: 1000000\r\n");
    assert_eq!(answer.status, 200);
}

#[test]
fn one_connection_serves_many_requests() {
    let server = start(None);
    let mut stream = connect(server.address());
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut text = String::new();
        read_until(&mut stream, &mut text, |t| t.ends_with("well\n"));
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    }
}

#[test]
fn without_a_token_only_loopback_is_served() {
    for address in ["0.0.0.0:0", "192.0.2.1:80", "[::]:0", "[::ffff:192.0.2.1]:80"] {
        let address: SocketAddr = address.parse().unwrap();
        let error = Server::start(address, None, Arc::new(Made::default())).unwrap_err();
        let expected = format!("http.listen: {address} is not loopback; set http.token_file");
        assert_eq!(error.to_string(), expected);
    }
    let everywhere = "0.0.0.0:0".parse().unwrap();
    Server::start(everywhere, Some(TOKEN.into()), Arc::new(Made::default())).unwrap();
    for token in ["", " \n", "two words", "né"] {
        let error = Server::start(everywhere, Some(token.into()), Arc::new(Made::default()));
        assert!(error.unwrap_err().to_string().starts_with("http.token_file: "), "{token:?}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let server = start(None);
    let error =
        Server::start(server.address(), None, Arc::new(Made::default())).unwrap_err().to_string();
    assert!(error.starts_with(&format!("http.listen {}: ", server.address())), "{error}");
}

#[test]
fn without_a_token_other_host_names_are_refused() {
    let server = start(None);
    for host in ["localhost", "LocalHost:80", "127.0.0.1:9", "127.5.5.5", "[::1]:80"] {
        let answer = ask(server.address(), "GET /status", &format!("Host: {host}\r\n"));
        assert_eq!(answer.status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:80", "10.0.0.1", "", "[::2]"] {
        let answer = ask(server.address(), "GET /status", &format!("Host: {host}\r\n"));
        assert_eq!(answer.status, 403, "{host}");
        assert!(!answer.text().contains("version"));
    }
    let two = "Host: localhost\r\nHost: evil.example\r\n";
    assert_eq!(ask(server.address(), "GET /status", two).status, 403);
    let mut stream = connect(server.address());
    stream.write_all(b"GET /status HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).status, 403);
}

#[test]
fn with_a_token_every_route_asks_for_it() {
    let server = start(Some(&format!("{TOKEN}\n")));
    let paths = [
        "/",
        "/page.css",
        "/page.js",
        "/events",
        "/status",
        "/metrics",
        "/healthz",
        "/readyz",
        "/preview/north%20gate.png",
        "/attic",
    ];
    for path in paths {
        let answer = get(server.address(), path);
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let no_method = ask(server.address(), "POST /", "");
    assert_eq!(no_method.status, 401);
    let missing = get(server.address(), "/status");
    for wrong in [
        "Authorization: Bearer a+long/token\r\n",
        "Authorization: Bearer a+long/token==\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Basic a+long/token=\r\n",
        "Authorization: a+long/token=\r\n",
        "Cookie: tamis=a+long/token=\r\n",
        "Cookie: a+long/token=\r\n",
    ] {
        let answer = ask(server.address(), "GET /status", wrong);
        assert_eq!((answer.status, answer.text()), (401, missing.text()), "{wrong}");
    }
    for right in ["Authorization: Bearer", "authorization: bearer", "Authorization: BEARER "] {
        let headers = format!("{right} {TOKEN}\r\nHost: camera.example\r\n");
        let answer = ask(server.address(), "GET /status", &headers);
        assert_eq!(answer.status, 200, "{right}");
        assert!(!answer.head.contains(TOKEN) && !answer.text().contains(TOKEN));
    }
}

#[test]
fn a_browser_brings_the_token_once() {
    let server = start(Some(TOKEN));
    for wrong in ["/?token=", "/?token=other", "/status?token=a+long/token=", "/?x=a+long/token="] {
        let answer = get(server.address(), wrong);
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{wrong}");
    }
    let mut cookies = Vec::new();
    for right in ["/?token=a+long/token=", "/?a=b&token=a%2Blong%2Ftoken%3d"] {
        let answer = get(server.address(), right);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{right}");
        assert!(!answer.head.contains(TOKEN) && !answer.text().contains(TOKEN), "{}", answer.head);
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        cookies.push(cookie.split(';').next().unwrap().to_owned());
    }
    assert_eq!(cookies[0], cookies[1]);
    for headers in [
        format!("Cookie: {}\r\n", cookies[0]),
        format!("Cookie: other=1; {}; more=2\r\n", cookies[0]),
    ] {
        assert_eq!(ask(server.address(), "GET /status", &headers).status, 200);
    }
    let (name, value) = cookies[0].split_once('=').unwrap();
    for forged in [format!("{name}={}", &value[1..]), format!("{name}="), value.to_owned()] {
        let headers = format!("Cookie: {forged}\r\n");
        assert_eq!(ask(server.address(), "GET /status", &headers).status, 401, "{forged}");
    }
    let other = start(Some("another"));
    let headers = format!("Cookie: {}\r\n", cookies[0]);
    assert_eq!(ask(other.address(), "GET /status", &headers).status, 401);
}

#[test]
fn events_come_and_nobody_is_asked_when_nobody_listens() {
    let pages = Arc::new(Made::default());
    let any = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(any, None, pages.clone()).unwrap();
    let (mut stream, mut text) = listen(server.address());
    assert!(text.contains("content-type: text/event-stream\r\n"), "{text}");
    let began = Instant::now();
    read_until(&mut stream, &mut text, |t| t.matches("data: {").count() >= 3);
    assert!(began.elapsed() > Duration::from_millis(500), "two paces");
    assert!(text.contains(r#"data: {"version":"0","asked":0,"words":"two\nlines"}"#), "{text}");
    assert!(text.contains(r#""asked":2"#), "{text}");
    drop(stream);
    std::thread::sleep(Duration::from_millis(300));
    let asked = pages.asked.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(pages.asked.load(Ordering::Relaxed), asked);
}

#[test]
fn listeners_are_few_and_share_what_they_hear() {
    let pages = Arc::new(Made::default());
    let any = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(any, None, pages.clone()).unwrap();
    let mut all: Vec<TcpStream> = (0..16).map(|_| listen(server.address()).0).collect();
    assert!(pages.asked.load(Ordering::Relaxed) < 16);
    let (_, refused) = listen(server.address());
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert_eq!(get(server.address(), "/status").status, 200);
    // One goes away, another comes.
    drop(all.pop());
    let began = Instant::now();
    while listen(server.address()).1.contains(" 503 ") {
        assert!(began.elapsed() < Duration::from_secs(3), "the place was not given back");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn headers_have_a_size() {
    let server = start(None);
    let fits = format!("X-Long: {}\r\n", "x".repeat(8 << 10));
    assert_eq!(ask(server.address(), "GET /healthz", &fits).status, 200);
    for line in [
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "x".repeat(64 << 10)),
        format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(64 << 10)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(300)),
        "\0\u{1}\u{2} nonsense\r\n\r\n".into(),
    ] {
        let mut stream = connect(server.address());
        // It may be closed before all is sent.
        let _ = stream.write_all(line.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
        assert!(health_takes(server.address()) < Duration::from_secs(1));
    }
}

#[test]
fn visitors_who_dawdle_are_sent_away() {
    let server = start(None);
    let mut slow: Vec<TcpStream> = (0..50).map(|_| connect(server.address())).collect();
    let (mut mute, mut done) = (connect(server.address()), connect(server.address()));
    done.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let request: Vec<u8> =
        b"GET /healthz HTTP/1.1\r\n".iter().copied().chain([b'x'; 400]).collect();
    let began = Instant::now();
    for byte in request {
        for stream in &mut slow {
            let _ = stream.write_all(&[byte]);
        }
        assert_health_is_quick(server.address());
        std::thread::sleep(Duration::from_millis(100));
        if began.elapsed() > Duration::from_millis(5500) {
            break;
        }
    }
    for stream in &mut slow {
        assert!(closes_within(stream, Duration::from_secs(2)), "a byte at a time is not enough");
    }
    assert!(closes_within(&mut mute, Duration::from_secs(2)), "nor is none");
    assert!(closes_within(&mut done, Duration::from_secs(2)), "nor is one request");
}

#[test]
fn a_thousand_idle_visitors_hold_up_nobody() {
    let server = start(None);
    let (mut listener, mut heard) = listen(server.address());
    let mut idle = Vec::new();
    while idle.len() < 1000 {
        // This process may not be allowed as many files: then the server has none left either.
        match TcpStream::connect(server.address()) {
            Ok(stream) => idle.push(stream),
            Err(_) => break,
        }
    }
    assert!(idle.len() > 400, "{}", idle.len());
    if idle.len() < 1000 {
        idle.truncate(idle.len() - 8);
    }
    assert_health_is_quick(server.address());
    // The oldest made room for the newest; who listens stays.
    assert!(closes_within(&mut idle[0], Duration::from_secs(2)));
    let before = heard.len();
    read_until(&mut listener, &mut heard, |t| t.len() > before);
}

#[test]
fn who_does_not_read_holds_up_nobody() {
    let server = serve(None, Made { long: 16 << 20, ..Made::default() });
    let mut stuck: Vec<TcpStream> = (0..4).map(|_| connect(server.address())).collect();
    for stream in &mut stuck {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_health_is_quick(server.address());
    assert_eq!(get(server.address(), "/metrics").body.len(), (16 << 20) + 11);
}

#[test]
fn it_stops_within_a_second_with_connections_open() {
    let server = start(None);
    let address = server.address();
    let mut open: Vec<TcpStream> = (0..20).map(|_| connect(address)).collect();
    let (mut listener, _) = listen(address);
    let began = Instant::now();
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(closes_within(&mut listener, Duration::from_secs(1)));
    assert!(open.iter_mut().all(|s| closes_within(s, Duration::from_secs(1))));
    assert!(TcpStream::connect(address).is_err());
    // Its port is free again.
    Server::start(address, None, Arc::new(Made::default())).unwrap();
}

/// Serves in a process that may open few files; [`it_lives_on_when_files_run_out`] runs it.
#[test]
#[ignore = "the other half of a test"]
fn serve_with_few_files() {
    let server = start(None);
    println!("at {}.", server.address());
    // Until the other half is done.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
#[cfg(unix)]
fn it_lives_on_when_files_run_out() {
    use std::process::{Command, Stdio};
    let shell = "ulimit -n 40 && exec \"$0\" --exact serve_with_few_files --ignored --nocapture";
    let mut child = Command::new("sh")
        .args(["-c", shell])
        .arg(std::env::current_exe().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut said) = (child.stdout.take().unwrap(), String::new());
    let address = loop {
        let mut byte = [0];
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{said}");
        said.push(byte[0].into());
        if let Some(address) = said.split_once("at ").and_then(|(_, a)| a.strip_suffix(".\n")) {
            break address.parse().unwrap();
        }
    };
    let idle: Vec<TcpStream> = (0..100).map(|_| connect(address)).collect();
    // Whoever is idle makes room, one at each back-off.
    let waited = health_takes(address);
    assert!(waited < Duration::from_secs(6), "{waited:?}");
    drop(idle);
    std::thread::sleep(Duration::from_millis(200));
    assert_health_is_quick(address);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
