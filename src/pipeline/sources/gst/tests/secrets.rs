//! Passwords are never shown.

use super::super::{Description, Launch};

const SECRET: &str = "rtspsrc location=\"rtsp://admin:p%40ss:w0rd@cam:554/live?token=abc123\" user-id=a user-pw=geheim ! rtph264depay";

#[test]
fn no_debug_text_shows_a_value() {
    let launch = Launch::new(SECRET);
    let description = Description::read(&launch).unwrap();
    let text = format!("{launch:?} {description:?} {:?}", description.hidden());
    for secret in ["admin", "p%40ss", "abc123", "geheim", "cam"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn what_gstreamer_says_is_shown_without_secrets() {
    let hidden = Description::read(&Launch::new(SECRET)).unwrap().hidden();
    for (said, shown) in [
        (
            "Could not connect to rtsp://admin:p%40ss:w0rd@cam:554/live?token=abc123",
            "Could not connect to rtsp://***@cam:554/***",
        ),
        ("user admin, password p@ss:w0rd", "user ***, password ***"),
        ("bad geheim in live?token=abc123", "bad *** in ***"),
        ("query token=abc123", "query ***"),
        // Another address of the camera, after a redirection.
        ("moved to rtsp://x:y@other/1 and http://z/", "moved to rtsp://***@other/1 and http://z/"),
        ("a camera", "*** camera"),
        ("data", "data"),
        ("no secret", "no secret"),
    ] {
        assert_eq!(hidden.hide(said), shown);
    }
}

#[test]
fn a_slash_in_a_password_does_not_show_it() {
    let text = "rtspsrc location=rtsp://admin:ge/heim@cam/live ! rtph264depay";
    let hidden = Description::read(&Launch::new(text)).unwrap().hidden();
    for said in
        ["bad address rtsp://admin:ge/heim@cam/live", "host admin, port ge/heim", "admin:ge/"]
    {
        let shown = hidden.hide(said);
        assert!(!shown.contains("admin") && !shown.contains("heim"), "{shown}");
    }
}

#[test]
fn no_error_shows_a_value() {
    for text in [
        "rtspsrc user-pw=ge\"heim ! rtph264depay",
        "rtspsrc user-pw=ok geheim ! rtph264depay",
        "rtspsrc user-pw=\"geheim ! rtph264depay",
        "rtspsrc user-pw=\"x\"geheim ! rtph264depay",
        "rtspsrc location=geheim ! rtph264depay",
        "rtspsrc latency=/geheim ! rtph264depay",
        "rtspsrc user-pw=x user-pw=geheim ! rtph264depay",
        "rtsp://geheim@cam ! rtph264depay",
        "rtspsrc user-pw=a geheim=b:/c ! rtph264depay latency=\"",
    ] {
        let why = Description::read(&Launch::new(text)).expect_err(text).to_string();
        let shown = why.replace("geheim may not hold", "");
        assert!(!shown.contains("geheim"), "{text}: {why}");
    }
}
