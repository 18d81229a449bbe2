//! `tamis receive`: takes what daemons upload, and keeps it as ordinary recordings.

mod numbers;
mod site;
mod upload;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::numbers::Numbers;
use self::site::Site;
use super::args::Receive;
use super::daemon::read_token;
use super::http::{Access, Named, Server};
use super::{Outcome, log, print_line, say, stop_flag};
use crate::pipeline::archive::Archive;
use crate::pipeline::store::RealDisk;

/// How often the archive is looked after.
const TICK: Duration = Duration::from_millis(100);
/// What the address and the token are called.
const NAMED: Named = Named { listen: "--listen", token: "--token-file" };

/// Receives until a signal asks to stop; then joins what came late.
pub fn run(typed: &Receive) -> anyhow::Result<Outcome> {
    log::set_format(typed.log_format);
    let token = typed.token_file.as_ref().map(|file| read_token(file, NAMED.token)).transpose()?;
    let access = Access::new(typed.listen, token.as_deref(), NAMED)?;
    let archive = Arc::new(Archive::open(&typed.folder, Arc::new(RealDisk::default()))?);
    let numbers = Arc::new(Numbers::default());
    let site = Site::new(access, archive.clone(), numbers.clone());
    let stop = stop_flag();
    let server = Server::serve(typed.listen, NAMED, Arc::new(site))?;
    say(format_args!("receives at http://{} into {}", server.address(), typed.folder.display()));
    while !stop.load(Ordering::Relaxed) {
        archive.tick();
        std::thread::sleep(TICK);
    }
    // Nothing more comes before the last is joined.
    server.stop();
    archive.close();
    if typed.json {
        print_line(numbers.json(&archive))?;
    } else {
        say(numbers.words(&archive));
    }
    Ok(Outcome::Done)
}
