//! The peers: the same table handed over as teams do it without a shared heap, measured in the same run.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;

use super::acts::{number, whole};
use super::children::{Actor, own_group};
use super::screen;
use super::setup::Programs;

/// The table that goes as JSON: seconds of work, and text that fits into one JavaScript string.
const JSON_BYTES: u64 = 64 << 20;
/// The tables that go by pickle and by socket: these are faster, and so larger.
const BINARY_BYTES: u64 = 1 << 30;

/// One way of handing over.
#[derive(Clone, Debug, Serialize)]
pub struct Peer {
    /// What it is.
    pub name: &'static str,
    /// The size of the table that was handed over, in bytes of Arrow.
    pub bytes: u64,
    /// True if Node receives it, false if Python does.
    pub to_node: bool,
    /// From the rows at the sender to rows that the receiver can read.
    pub ms: f64,
}

impl Peer {
    /// Milliseconds for each MiB of table.
    pub fn ms_per_mib(&self) -> f64 {
        self.ms / (self.bytes as f64 / (1 << 20) as f64)
    }
}

/// Measures all of them. Each receiver checks that the same rows came through.
pub fn measure(programs: &Programs, heap: &str, table: u64) -> Result<Vec<Peer>> {
    let wait = indicatif::ProgressBar::new_spinner().with_message("the same table by pickle, socket and JSON");
    wait.enable_steady_tick(std::time::Duration::from_millis(100));
    let peers = binary(programs, heap, table).and_then(|mut peers| {
        peers.push(json(programs, table.min(JSON_BYTES))?);
        Ok(peers)
    });
    wait.finish_and_clear();
    peers
}

fn binary(programs: &Programs, heap: &str, table: u64) -> Result<Vec<Peer>> {
    let limit = table.min(BINARY_BYTES).to_string();
    let mut python = Actor::start(
        "Python peers",
        Command::new(&programs.python).current_dir(&programs.folder).args(["peers.py", heap, &limit]),
    )?;
    let pickle = peer("Python to Python, pickle through a pipe", &python.hear("pickle")?)?;
    let socket = peer("Python to Python, Arrow IPC through a socket", &python.hear("socket")?)?;
    python.finish()?;
    Ok(vec![pickle, socket])
}

fn json(programs: &Programs, bytes: u64) -> Result<Peer> {
    let mut producer = Command::new(&programs.producer);
    producer.arg("json").arg(&programs.parquet).arg(bytes.to_string());
    own_group(&mut producer);
    let mut producer =
        producer.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start the JSON producer")?;
    let rows = producer.stdout.take().context("the JSON producer has no output")?;
    let mut node = Command::new(&programs.node);
    own_group(&mut node);
    let node = node
        .arg(programs.folder.join("peer-json.mjs"))
        .stdin(rows)
        .stderr(Stdio::piped())
        .output()
        .context("cannot run Node")?;
    let status = producer.wait()?;
    if !status.success() || !node.status.success() {
        bail!("handing the table over as JSON failed: {}", String::from_utf8_lossy(&node.stderr).trim());
    }
    let event: Value = serde_json::from_slice(&node.stdout).context("the JSON peer reported nothing")?;
    peer("Rust to Node, JSON through a pipe", &event)
}

fn peer(name: &'static str, event: &Value) -> Result<Peer> {
    let peer =
        Peer { name, to_node: name.contains("to Node"), bytes: whole(event, "bytes")?, ms: number(event, "ms")? };
    screen::remark(&format!("measured: {name}, {} in {}", screen::bytes(peer.bytes), screen::millis(peer.ms)));
    Ok(peer)
}
