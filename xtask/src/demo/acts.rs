//! The steps of the demo, in order: who has its turn, what each must report, and what is printed of it.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use console::strip_ansi_codes;
use serde_json::Value;

use super::children::{Actor, own_group};
use super::figures::{self, Figures};
use super::holders::Borrow;
use super::memory::Watch;
use super::setup::Programs;
use super::summary::{Copies, Step, Summary};
use super::{peers, screen};

/// What the Rust process may own beside the table: the rows of the Parquet file, decoded, and the reader's scratch.
const PRODUCER_GROWTH: u64 = 320 << 20;
/// What a reader may own: its library's scratch. One copied column of a 1 GiB table would be 220 MiB.
const READER_GROWTH: u64 = 64 << 20;

/// The processes on the stage, and what is known of the table.
struct Stage<'a> {
    programs: &'a Programs,
    heap: &'a str,
    watch: &'a Watch,
    rust: Actor,
    python: Actor,
    node: Actor,
    /// The borrows of the table that live in step 4.
    borrows: Vec<Borrow>,
    /// When Node had reported its figures.
    reported: f64,
    steps: Vec<Step>,
}

/// Plays all steps.
pub fn play(programs: &Programs, heap: &str, size: u64, watch: &Watch, setup: Duration) -> Result<Summary> {
    let mut steps = vec![Step::new("set-up", setup.as_secs_f64() * 1e3)];
    let mut rust = Actor::start(
        "Rust",
        Command::new(&programs.producer).arg("serve").arg(&programs.parquet).args([heap, &size.to_string()]),
    )?;
    rust.hear("created")?;
    watch.add("rust", rust.pid(), PRODUCER_GROWTH);
    // The readers start now and wait for their names, while the table is still being written.
    let mut python =
        Actor::start("Python", Command::new(&programs.python).current_dir(&programs.folder).args(["reader.py", heap]))?;
    let mut node =
        Actor::start("Node", Command::new(&programs.node).current_dir(&programs.folder).args(["reader.mjs", heap]))?;
    python.hear("ready")?;
    watch.add("python", python.pid(), READER_GROWTH);
    node.hear("ready")?;
    watch.add("node", node.pid(), READER_GROWTH);

    let (written, published) = write(&mut rust, &mut steps)?;
    let stage = Stage { programs, heap, watch, rust, python, node, borrows: Vec::new(), reported: 0.0, steps };
    stage.play(&written, &published)
}

fn write(rust: &mut Actor, steps: &mut Vec<Step>) -> Result<(Value, Value)> {
    screen::heading(1, "Rust writes the table into a shared heap, once");
    let planned = rust.hear("planned")?;
    screen::line("flights-3m.parquet, read and measured", screen::millis(number(&planned, "ms")?));
    let rows = format!(
        "{} rows in {} batches, {}",
        screen::count(whole(&planned, "rows")? as i64),
        whole(&planned, "batches")?,
        screen::bytes(whole(&planned, "bytes")?)
    );
    screen::line("repeated to the size asked for", rows);
    let bar = screen::progress(whole(&planned, "bytes")?, "writing");
    let written = rust.hear_with("written", |event| bar.set_position(event["bytes"].as_u64().unwrap_or(0)));
    bar.finish_and_clear();
    let written = written?;
    let ms = number(&written, "ms")?;
    let rate = whole(&written, "bytes")? as f64 / (1u64 << 30) as f64 / (ms / 1e3);
    screen::line("written as Arrow IPC, in place", format!("{}  ({rate:.2} GiB/s)", screen::millis(ms)));
    screen::line(
        "published as \"flights\"",
        format!("buffer {} of region {}", text(&written, "buffer")?, text(&written, "region")?),
    );
    let published = rust.hear("published")?;
    steps.push(Step::new(
        "Rust: read the Parquet file, compute its figures",
        number(&planned, "ms")? + number(&written, "figures_ms")?,
    ));
    steps.push(Step::new("Rust: allocate and write the table", number(&written, "alloc_ms")? + ms));
    Ok((written, published))
}

impl Stage<'_> {
    fn play(mut self, written: &Value, published: &Value) -> Result<Summary> {
        let bytes = whole(written, "bytes")?;
        let rust = &written["figures"];
        let mut figures = vec![Figures::new("rust", &rust["rows"], &rust["delays"], &rust["kilometres"])?];
        let handle = text(written, "buffer")?.to_owned();

        let (python, python_open) = self.python_reads(published)?;
        figures.push(python.0);
        let (node, node_open) = self.node_reads(&python.1)?;
        figures.push(node);
        let compared = figures::compare(&figures);
        match &compared {
            Ok(()) => screen::holds(&format!(
                "Rust, Python and Node agree on {} origins, {} rows and the sum of {} km",
                figures[0].delays.len(),
                screen::count(figures[0].rows as i64),
                screen::count(figures[0].kilometres)
            )),
            Err(error) => screen::fails(&format!("{error}")),
        }
        self.command_line_looks(&handle)?;
        let peers = peers::measure(self.programs, self.heap, bytes)?;
        self.steps.extend(peers.iter().map(|peer| Step::new(&format!("peer: {}", peer.name), peer.ms)));
        self.close(&handle)?;

        let last = self.rust.ask("snapshot", "snapshot")?;
        let copies = Copies::between(&written["snapshot"], &last["snapshot"])?;
        let memory = self.watch.seen();
        for actor in [&mut self.python, &mut self.node, &mut self.rust] {
            actor.tell("exit")?;
        }
        self.python.finish()?;
        self.node.finish()?;
        self.rust.finish()?;
        Ok(Summary {
            bytes,
            figures,
            difference: compared.err().map(|error| error.to_string()),
            steps: self.steps,
            copies,
            arrow_allocated: python.2,
            arrow_peak: python.3,
            outside: python_open.outside + node_open.outside,
            handover: [python_open.step("Rust to Python"), node_open.step("Python to Node")],
            memory,
            peers,
        })
    }

    /// Step 2. Gives the figures, the event of the change, and Arrow's own allocations at the end and at their peak.
    fn python_reads(&mut self, published: &Value) -> Result<((Figures, Value, u64, u64), Opened)> {
        screen::heading(2, "Python reads it in place, lets go, and changes a column in place");
        let opened = self.python.hear("opened")?;
        let open = Opened::new(&opened, number(published, "from")?)?;
        open.print();
        let delays = self.python.hear("delays")?;
        let ms = number(&delays, "ms")?;
        screen::line("mean delay by origin, by pyarrow", screen::millis(ms));
        let changed = self.python.hear("changed")?;
        // It has opened the table again since it published the change.
        self.began("python", self.python.pid(), number(&changed, "published")?, number(&changed, "at")?);
        let figures = Figures::new("python", &opened["rows"], &delays["delays"], &changed["kilometres"])?;
        print_delays(&figures);
        screen::line("distance, miles to kilometres, in place", screen::millis(number(&changed, "ms")?));
        let (allocated, peak) = (whole(&changed, "allocated")?, whole(&changed, "peak")?);
        screen::line(
            "pyarrow's own allocations, now and at most",
            format!("{}, {}", screen::bytes(allocated), screen::bytes(peak)),
        );
        self.steps.push(Step::new("Python: wake up and open the table", open.ms));
        self.steps.push(Step::new("Python: mean delay by origin", ms));
        self.steps.push(Step::new("Python: change the column in place", number(&changed, "ms")?));
        Ok(((figures, changed, allocated, peak), open))
    }

    /// Step 3.
    fn node_reads(&mut self, changed: &Value) -> Result<(Figures, Opened)> {
        screen::heading(3, "Node reads the changed table in place");
        let opened = self.node.hear("opened")?;
        let open = Opened::new(&opened, number(changed, "published")?)?;
        open.print();
        let event = self.node.hear("figures")?;
        self.began("node", self.node.pid(), number(&opened, "woken")?, number(&opened, "opened")?);
        self.reported = number(&event, "at")?;
        let figures = Figures::new("node", &opened["rows"], &event["delays"], &event["kilometres"])?;
        screen::line("mean delay by origin, in JavaScript", screen::millis(number(&event, "ms")?));
        print_delays(&figures);
        screen::line("sum of the changed column", format!("{} km", screen::count(figures.kilometres)));
        self.steps.push(Step::new("Node: wake up and open the table", open.ms));
        self.steps.push(Step::new("Node: mean delay by origin", number(&event, "ms")?));
        self.steps.push(Step::new("Node: sum of the changed column", number(&event, "sumMs")?));
        Ok((figures, open))
    }

    /// Step 4: a fourth process looks, while Rust, Python and Node each hold a shared borrow.
    fn command_line_looks(&mut self, handle: &str) -> Result<()> {
        screen::heading(4, "Meanwhile, from a fourth process: weaveheap stats, weaveheap viz");
        let held = self.rust.ask("hold", "held")?;
        // Rust was asked after Node had reported, and before it answered.
        self.began("rust", self.rust.pid(), self.reported, number(&held, "at")?);
        let start = Instant::now();
        let stats = self.weaveheap(&["stats", self.heap])?;
        screen::quote(&stats);
        println!();
        let viz = self.weaveheap(&["viz", self.heap])?;
        screen::quote(&viz);
        self.steps.push(Step::new("command line: stats and viz", start.elapsed().as_secs_f64() * 1e3));
        let who = self.weaveheap(&["who", self.heap, handle])?;
        let released = self.rust.ask("release", "released")?;
        let written = [number(&held, "at")?, number(&released, "at")?];
        for (command, output) in [("stats", &stats), ("viz", &viz), ("who", &who)] {
            for borrow in &self.borrows {
                borrow.is_in(command, &strip_ansi_codes(output), written)?;
            }
        }
        Ok(())
    }

    /// A borrow of the table that lives until step 5 began between these times.
    fn began(&mut self, language: &'static str, pid: u32, after: f64, before: f64) {
        self.borrows.push(Borrow { language, pid, after, before });
    }

    /// Step 5.
    fn close(&mut self, handle: &str) -> Result<()> {
        screen::heading(5, "Closing the region frees it everywhere");
        // Python lets go; Node's view is what keeps the region.
        self.python.ask("release", "released")?;
        self.rust.ask("check", "checked")?;
        let start = Instant::now();
        let refused = self.rust.ask("close", "close")?;
        ensure!(refused["ok"] == false, "the region was closed while Node held a view of it");
        ensure!(refused["code"] == "Borrowed", "closing was refused with {}, not with Borrowed", refused["code"]);
        let node = self.node.pid();
        let holders = refused["holders"].as_array().context("the refusal names no holders")?;
        let is_node = |holder: &Value| holder["process"] == node && holder["runtime"] == "node";
        ensure!(
            holders.len() == 1 && holders.iter().all(is_node),
            "the refusal names {holders:?}, not Node's process {node}"
        );
        screen::holds("while Node's view lives, closing is refused, and the refusal says who holds it:");
        screen::warning(&format!("{}: {}", text(&refused, "code")?, text(&refused, "message")?));

        let released = self.node.ask("release", "released")?;
        ensure!(released["kept"] == 0, "an array that Node kept has {} bytes after the release", released["kept"]);
        let closed = self.rust.ask("close", "close")?;
        ensure!(closed["ok"] == true, "closing failed after Node's release: {closed}");
        self.steps.push(Step::new("refusal, release and close", start.elapsed().as_secs_f64() * 1e3));
        screen::holds("after Node's release it succeeds; the array that Node kept has length 0");

        let proofs = [
            ("Rust", self.rust.ask("prove", "stale")?, &["borrow", "region"][..]),
            ("Python", self.python.ask("prove", "stale")?, &["borrow", "unique"][..]),
            ("Node", self.node.ask("prove", "stale")?, &["borrow", "unique"][..]),
        ];
        for (language, proof, attempts) in &proofs {
            for attempt in *attempts {
                let code = &proof[*attempt]["code"];
                ensure!(
                    code == "StaleHandle",
                    "{language} still reaches the closed region ({attempt}: {})",
                    proof[*attempt]
                );
            }
        }
        // The command line is the fourth: it must not find the buffer either.
        let output = self.command(&["who", self.heap, handle]).output().context("cannot run weaveheap who")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            !output.status.success() && said.contains("StaleHandle"),
            "`weaveheap who` still finds {handle}: {said}"
        );
        screen::holds(&format!("{handle} is now StaleHandle in all four processes"));
        self.rust.ask("check", "checked")?;
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.programs.weaveheap);
        let colour = if screen::colours() { "always" } else { "never" };
        command.args(["--color", colour, "--width", &(screen::width() - 2).to_string()]).args(arguments);
        own_group(&mut command);
        command
    }

    fn weaveheap(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output().context("cannot run weaveheap")?;
        if !output.status.success() {
            bail!("weaveheap {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// How a reader came by the table.
struct Opened {
    /// From the publishing of the name to the readable table.
    ms: f64,
    woken_ms: f64,
    inside: u64,
    outside: u64,
}

impl Opened {
    fn new(event: &Value, from: f64) -> Result<Opened> {
        let (woken, opened) = (number(event, "woken")?, number(event, "opened")?);
        Ok(Opened {
            ms: (opened - from) / 1e6,
            woken_ms: (woken - from) / 1e6,
            inside: whole(event, "inside")?,
            outside: whole(event, "outside")?,
        })
    }

    fn print(&self) {
        screen::line("from published to woken", screen::millis(self.woken_ms));
        screen::line("from published to a readable table", screen::millis(self.ms));
        let places = format!("{} in place, {} elsewhere", screen::bytes(self.inside), screen::bytes(self.outside));
        screen::line("the table's columns", places);
    }

    fn step(&self, name: &str) -> Step {
        Step::new(name, self.ms)
    }
}

fn print_delays(figures: &Figures) {
    let row = |(origin, delay): &(&str, &figures::Delay)| {
        vec![(*origin).to_owned(), screen::count(delay.count), format!("{:.4} min", delay.mean())]
    };
    let rows: Vec<Vec<String>> = figures.busiest(5).iter().map(row).collect();
    screen::table(&["  origin", "flights", "mean delay"], &indent(rows));
    screen::remark(&format!("  the busiest of {}", figures.delays.len()));
}

fn indent(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    for row in &mut rows {
        if let Some(first) = row.first_mut() {
            first.insert_str(0, "  ");
        }
    }
    rows
}

pub(super) fn number(event: &Value, key: &str) -> Result<f64> {
    event[key].as_f64().with_context(|| format!("the event {} has no number {key:?}", event["event"]))
}

pub(super) fn whole(event: &Value, key: &str) -> Result<u64> {
    event[key].as_u64().with_context(|| format!("the event {} has no whole number {key:?}", event["event"]))
}

fn text<'a>(event: &'a Value, key: &str) -> Result<&'a str> {
    event[key].as_str().with_context(|| format!("the event {} has no text {key:?}", event["event"]))
}
