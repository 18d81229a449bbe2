//! Runs the commands of a page.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::pages::{Page, Step};
use super::setup;

/// A command that takes longer is hung.
const BOUND: Duration = Duration::from_secs(60);
/// What pages may call beside tamis: every system has them.
const TOOLS: [&str; 16] = [
    "cat", "chmod", "cp", "dd", "echo", "for", "grep", "head", "ls", "mkdir", "mv", "printf", "rm",
    "sleep", "tail", "touch",
];

/// All that is wrong with the commands of a page; says what was skipped.
pub fn page(page: &Page, kit: &Path) -> Vec<String> {
    let path = page.path.display();
    if page.blocks.is_empty() {
        return Vec::new();
    }
    let folder = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let mut place = Place { folder: folder.path(), ports: HashMap::new(), jobs: Vec::new() };
    setup::copy(kit, folder.path(), &mut |text: &str| place.small(text));
    let (mut faults, mut ran) = (Vec::new(), 0);
    for block in &page.blocks {
        if let Some(why) = &block.skip {
            println!("{path}:{}: skipped: {why}", block.line);
            continue;
        }
        if block.steps.is_empty() {
            faults.push(format!("{path}:{}: nothing to run, and no skip=", block.line));
        }
        for step in &block.steps {
            ran += 1;
            if let Err(why) = place.run(step) {
                faults.push(format!("{path}:{}: `{}` {why}", step.line, step.text));
            }
        }
    }
    while let Some((job, text)) = place.jobs.pop() {
        if let Err(why) = job.map_or(Ok(()), |mut job| place.end(&mut job, "TERM")) {
            faults.push(format!("{path}: `{text}`, at the end of the page: {why}"));
        }
    }
    println!("{path}: {ran} commands in {:.1} s", begin.elapsed().as_secs_f64());
    faults
}

/// Where the commands of a page run.
struct Place<'a> {
    folder: &'a Path,
    /// Free ports in the place of those in the page, which others may have.
    ports: HashMap<String, u16>,
    /// What runs beside the other lines, from `%1` on, with its command.
    jobs: Vec<(Option<Job>, String)>,
}

struct Job {
    child: Child,
    /// Number of the file with what it says.
    number: usize,
}

impl Drop for Job {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Place<'_> {
    fn run(&mut self, step: &Step) -> Result<(), String> {
        let text = self.small(&step.text);
        let word = text.split_whitespace().next().unwrap_or_default();
        match word {
            "tamis" => {}
            "kill" => return self.kill(step),
            "curl" => return self.fetch(&text),
            _ if TOOLS.contains(&word) => {}
            _ => {
                return Err(format!(
                    "is no command that runs here; mark its block with skip={word}"
                ));
            }
        }
        let service = step.background || step.comment.contains("Ctrl-C");
        let mut job = self.start(&text, service)?;
        if service {
            self.ready(&mut job)?;
            if step.background {
                self.jobs.push((Some(job), step.text.clone()));
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(500));
            return self.end(&mut job, "TERM");
        }
        let status = wait(&mut job.child)?;
        self.judge(status, step, &self.said(&job))
    }

    fn judge(&self, status: ExitStatus, step: &Step, said: &str) -> Result<(), String> {
        if status.code() != Some(step.exit) {
            let code = status.code().map_or("a signal".into(), |c| c.to_string());
            return Err(format!("ended with {code}, not {}: {said}", step.exit));
        }
        self.says(step, said)
    }

    /// Looks for the message of the heading; a warning ends with 0, and its line says so.
    fn says(&self, step: &Step, said: &str) -> Result<(), String> {
        let told = step.exit != 0 || step.comment.contains("says");
        let message = step.message.as_deref().filter(|_| told).unwrap_or_default();
        let mut rest = said;
        for part in message.split("...").map(str::trim) {
            let Some((_, behind)) = rest.split_once(part) else {
                return Err(format!("does not say `{message}` but: {said}"));
            };
            rest = behind;
        }
        Ok(())
    }

    fn start(&mut self, text: &str, service: bool) -> Result<Job, String> {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let bin = Path::new(env!("CARGO_BIN_EXE_tamis")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        // A signal must reach the service and not the shell.
        let text = if service { format!("exec {text}") } else { text.to_owned() };
        let out = File::create(self.folder.join(format!(".said-{number}"))).unwrap();
        let child = Command::new("bash")
            .args(["-o", "pipefail", "-c", &text])
            .current_dir(self.folder)
            .env("PATH", format!("{}:{path}", bin.display()))
            .stdin(Stdio::null())
            .stdout(File::create(self.folder.join(".out")).unwrap())
            .stderr(out)
            .spawn()
            .map_err(|e| e.to_string())?;
        Ok(Job { child, number })
    }

    /// What a job said on stderr.
    fn said(&self, job: &Job) -> String {
        let path = self.folder.join(format!(".said-{}", job.number));
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    }

    /// Waits until the pages of a service say that it is ready.
    fn ready(&self, job: &mut Job) -> Result<(), String> {
        let begin = Instant::now();
        while begin.elapsed() < BOUND {
            let said = self.said(job);
            let at = |words: &str| said.split_once(words)?.1.split_whitespace().next();
            let page = at("pages at http://").map(|a| (a, "/readyz"));
            if let Some((address, path)) =
                page.or(at("receives at http://").map(|a| (a, "/healthz")))
                && get(address, path).is_some_and(|(code, _)| code == 200)
            {
                return Ok(());
            }
            if let Some(status) = job.child.try_wait().unwrap() {
                return Err(format!("ended ({status}) before it was ready: {said}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("was not ready: {}", self.said(job)))
    }

    /// Sends a signal; a service that is told to stop ends with 0 or 3.
    fn end(&self, job: &mut Job, signal: &str) -> Result<(), String> {
        if job.child.try_wait().unwrap().is_none() {
            let id = job.child.id().to_string();
            Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap();
        }
        let status = wait(&mut job.child)?;
        // 3: something was lost, which is said.
        if signal != "TERM" || [Some(0), Some(3)].contains(&status.code()) {
            return Ok(());
        }
        Err(format!("ended with {status} when it was told to stop: {}", self.said(job)))
    }

    /// `kill %1`, `kill -9 %1`, `kill -HUP %1`.
    fn kill(&mut self, step: &Step) -> Result<(), String> {
        let text = &step.text;
        let signal = text.split_whitespace().find_map(|w| w.strip_prefix('-')).unwrap_or("TERM");
        let number = text.rsplit('%').next().and_then(|n| n.trim().parse::<usize>().ok());
        let slot = number.and_then(|n| self.jobs.get_mut(n - 1)).ok_or("names no job")?;
        if signal == "HUP" {
            let id = slot.0.as_ref().ok_or("has ended")?.child.id().to_string();
            Command::new("kill").args(["-HUP", &id]).status().unwrap();
            return Ok(());
        }
        let mut job = slot.0.take().ok_or("has ended")?;
        self.end(&mut job, signal)?;
        self.says(step, &self.said(&job))
    }

    /// `curl -s URL`, perhaps with a pipe behind it. Not every system has curl.
    fn fetch(&mut self, text: &str) -> Result<(), String> {
        let (request, pipe) = text.split_once('|').unwrap_or((text, "cat"));
        let url = request.split_once("http://").ok_or("names no page")?.1;
        let url = url.split_whitespace().next().unwrap_or_default().trim_end_matches('\'');
        let (address, path) = url.split_at(url.find('/').unwrap_or(url.len()));
        let begin = Instant::now();
        // A preview is made when somebody first asks for it.
        let body = loop {
            match get(address, path) {
                Some((200, body)) => break body,
                answer if begin.elapsed() > Duration::from_secs(10) => {
                    return Err(format!("is answered {answer:?}"));
                }
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        };
        std::fs::write(self.folder.join(".page"), body).unwrap();
        let mut job = self.start(&format!("cat .page | {pipe}"), false)?;
        let status = wait(&mut job.child)?;
        self.judge(status, &Step::default(), &self.said(&job))
    }

    /// The same on free ports, with pictures of a fifth of the size and few of them: the binary of tests is slow.
    fn small(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Some((verb, more)) = setup::spare(&text) {
            text.insert_str(verb.len(), more);
        }
        if text.starts_with("tamis receive") && !text.contains("--listen") {
            text += " --listen 127.0.0.1:8748";
        }
        if let Some(at) = text.find("[http]")
            && !text[at..].lines().nth(1).unwrap_or_default().starts_with("listen")
        {
            text.insert_str(at + "[http]".len(), "\nlisten = \"127.0.0.1:8747\"\n");
        }
        // A few pictures stay as large as they are: pages cut their files at so many bytes.
        let few = (1..10).any(|n| text.contains(&format!("frames = {n} ")));
        if text.contains("kind = \"scene\"") && !few {
            for key in ["width", "height", "left", "top"] {
                text = numbers(&text, &format!("{key} = "), |n| (n / 5).max(8));
            }
        }
        for (key, most) in [("frames = ", 20), ("seconds = ", 3), ("sleep ", 6)] {
            text = numbers(&text, key, |n| n.min(most));
        }
        let ports = &mut self.ports;
        numbers(&text, "127.0.0.1:", |port| {
            let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            (*ports.entry(port.to_string()).or_insert_with(free)).into()
        })
    }
}

/// The text with every whole number behind `before` changed.
fn numbers(text: &str, before: &str, mut change: impl FnMut(u64) -> u64) -> String {
    let mut parts = text.split(before);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = part[..digits].parse::<u64>().map(&mut change);
        out += before;
        out += &number.map_or(part[..digits].to_owned(), |n| n.to_string());
        out += &part[digits..];
    }
    out
}

fn wait(child: &mut Child) -> Result<ExitStatus, String> {
    let begin = Instant::now();
    while begin.elapsed() < BOUND {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    Err(format!("did not end within {BOUND:?}"))
}

/// The code and body of a page, if anybody answers.
fn get(address: &str, path: &str) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let code = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()?;
    Some((code, bytes[end + 4..].to_vec()))
}
