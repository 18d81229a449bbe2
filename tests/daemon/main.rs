//! `tamis run` as a service: many streams, pages, reload, sources that come and go.

#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../common/daemon.rs"]
mod common;
mod pages;
mod reload;
mod sources;
mod store;
mod systemd;
mod tools;

const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";
