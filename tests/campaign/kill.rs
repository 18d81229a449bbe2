//! A process that is killed while it writes.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tamis::bitstream::{Event, Packet};

use super::common::{Noise, events, say_seed};
use super::{say, times};

/// Frames of the whole stream, and bytes of each.
const FRAMES: usize = 120;
const FRAME: usize = 32 * 24;

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    command.args(args).current_dir(dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn encode(dir: &Path) -> Child {
    let args = ["encode", "-", "-o", "x.tamis", "--raw-video", "32x24:gray8"];
    command(dir, &args).spawn().unwrap()
}

/// Frames of noise, so that a packet takes a few hundred bytes.
fn frames() -> Vec<u8> {
    let mut noise = Noise(9);
    (0..FRAMES * FRAME).map(|_| noise.below(256) as u8).collect()
}

fn part_len(dir: &Path) -> usize {
    std::fs::metadata(dir.join("x.tamis.part")).map_or(0, |m| m.len() as usize)
}

fn packets(bytes: &[u8]) -> Vec<Packet> {
    let (events, _) = events(bytes, 1 << 16).unwrap();
    events
        .into_iter()
        .filter_map(|e| if let Event::Packet(p) = e { Some(p) } else { None })
        .collect()
}

#[test]
fn a_kill_costs_the_packet_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let input = frames();
    // What the process writes if nobody kills it.
    let mut child = encode(dir);
    child.stdin.take().unwrap().write_all(&input).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    let whole = std::fs::read(dir.join("x.tamis")).unwrap();
    std::fs::remove_file(dir.join("x.tamis")).unwrap();
    let all = packets(&whole);
    let (read, _) = events(&whole, 1 << 16).unwrap();
    let Some(Event::Footer(footer)) = read.last() else { panic!("complete") };
    let begins = footer.offsets.iter().map(|&o| o as usize);
    let ends: Vec<usize> = begins.zip(&all).map(|(at, p)| at + record_len(p)).collect();
    let count = times(15, 200);
    let (mut restored, mut torn, mut early, mut quiet) = (0, 0, 0, 0);
    for seed in 0..count as u64 {
        let _say = say_seed("kill", seed);
        let mut noise = Noise(seed * 31 + 5);
        noise.next();
        let mut child = encode(dir);
        let mut stdin = child.stdin.take().unwrap();
        let fed = 1 + noise.below(FRAMES - 1);
        let pause = Duration::from_micros(noise.below(1500) as u64);
        let waits = noise.below(2) == 0;
        let latest = [5_000, 30_000, 200_000][noise.below(3)];
        let until = Duration::from_micros(noise.below(latest) as u64);
        let begun = Instant::now();
        for frame in input.chunks(FRAME).take(fed) {
            // At a random moment, or when all that was fed has been written.
            if !waits && begun.elapsed() > until {
                break;
            }
            stdin.write_all(frame).unwrap();
            std::thread::sleep(if waits { pause } else { pause.min(until / 4) });
        }
        if waits {
            // The last frame is held back: it learns from the next whether it is the last.
            let expected = if fed > 1 { ends[fed - 2] } else { 0 };
            while part_len(dir) < expected {
                assert!(
                    begun.elapsed() < Duration::from_secs(30),
                    "{} of {expected} bytes after {fed} frames",
                    part_len(dir)
                );
                std::thread::sleep(Duration::from_millis(2));
            }
            quiet += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        drop(stdin);
        let mut part = std::fs::read(dir.join("x.tamis.part")).unwrap_or_default();
        assert!(whole.starts_with(&part), "what is written is what would have been");
        if seed % 4 == 0 && part.len() > footer.offsets[0] as usize + 20 {
            // A packet is written by one call, so a kill hardly ever tears one: done by hand.
            part.truncate(part.len() - 1 - noise.below(20));
            std::fs::write(dir.join("x.tamis.part"), &part).unwrap();
        }
        let there = ends.iter().filter(|&&end| end <= part.len()).count();
        let end = if there > 0 { ends[there - 1] } else { footer.offsets[0] as usize };
        let done = command(dir, &["recover", "x.tamis.part", "-o", "y.tamis", "--json"]).output();
        let done = done.unwrap();
        let code = done.status.code().unwrap();
        if part.len() < footer.offsets[0] as usize {
            // Nothing was written yet, or less than the headers.
            assert!(there == 0 && (code == 65 || code == 66 || code == 3), "{code}");
            early += 1;
        } else {
            let report: Value = serde_json::from_slice(&done.stdout).unwrap();
            // Of the packet being written the groups that are all there.
            let cut = usize::from(report["cut"] == 1);
            assert_eq!(report["packets"], there + cut);
            assert!(
                code == if part.len() > end { 3 } else { 0 } || repeated(&part[end..]),
                "{code}"
            );
            let recovered = std::fs::read(dir.join("y.tamis")).unwrap();
            assert!(events(&recovered, 1 << 16).unwrap().1, "it has an index");
            let found = packets(&recovered);
            let mut expected = all[..there + cut].to_vec();
            if cut == 1 {
                expected[there].cut(found[there].header.lengths.len());
            }
            assert!(found == expected);
            torn += usize::from(part.len() > end);
            restored += there;
        }
        for name in ["x.tamis.part", "y.tamis"] {
            let _ = std::fs::remove_file(dir.join(name));
        }
    }
    say(format_args!(
        "{count} kills: {restored} packets restored, all that were written; {torn} torn packets (by hand), \
         {early} kills before the first; {quiet} times every frame fed but the one held back was in \
         the file"
    ));
}

/// Whether bytes are a whole header and nothing else.
fn repeated(bytes: &[u8]) -> bool {
    matches!(events(bytes, 999), Ok((read, _)) if matches!(read[..], [Event::Header(_)]))
}

fn record_len(packet: &Packet) -> usize {
    tamis::bitstream::PacketWriter::new().packet(packet).len()
}
