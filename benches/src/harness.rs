//! How a row is measured: both sides in turns in one process, so that what disturbs the machine disturbs both; the
//! median of each side's rounds; and their ratio.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A row's name, and what measures it.
pub type Row = (&'static str, fn(&Plan) -> Result<Figures>);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    quick: bool,
}

/// A row that was measured: nanoseconds for each operation.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    ours: Spread,
    peer: Spread,
    rounds: usize,
    disturbed: usize,
}

/// How long a round took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Nanoseconds for each operation.
    ns: f64,
    /// The system gave the processor to another program meanwhile.
    disturbed: bool,
}

/// What the rounds of one side gave, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// A quarter of the rounds took less.
    pub low: f64,
    /// Half of the rounds took less.
    pub median: f64,
    /// Three quarters of the rounds took less.
    pub high: f64,
}

impl Plan {
    /// A short plan is for a first look; both take medians of at least 31 rounds where a round is short.
    pub fn new(quick: bool) -> Plan {
        Plan { quick }
    }

    /// Rounds of well under a millisecond.
    pub fn many(&self) -> usize {
        if self.quick { 31 } else { 201 }
    }

    /// Rounds of many milliseconds, most of it preparation.
    pub fn few(&self) -> usize {
        if self.quick { 9 } else { 31 }
    }

    /// How long each row warms up.
    fn warm_up(&self) -> Duration {
        Duration::from_millis(if self.quick { 30 } else { 150 })
    }

    /// Measures those of these rows that are named, and prints each as soon as it is there.
    pub fn rows(&self, rows: &[Row], names: &[String]) -> Result<()> {
        for name in names {
            let (name, measure) =
                rows.iter().find(|(known, _)| known == name).with_context(|| format!("no row {name}"))?;
            println!("{}", json!({ "begin": name }));
            match measure(self) {
                Ok(figures) => println!("{}", figures.line(name)),
                // The others can still be measured.
                Err(error) => println!("{}", json!({ "row": name, "failed": format!("{error:#}") })),
            }
        }
        Ok(())
    }

    /// Measures both sides in turns. Each call of a side is one round.
    pub fn in_turns(&self, rounds: usize, mut ours: impl FnMut() -> Taken, mut peer: impl FnMut() -> Taken) -> Figures {
        let start = Instant::now();
        loop {
            black_box(ours());
            black_box(peer());
            if start.elapsed() >= self.warm_up() {
                break;
            }
        }
        let (mut of_ours, mut of_peer) = (Rounds::new(rounds), Rounds::new(rounds));
        for round in 0.. {
            // Who comes first changes, so that neither always finds what the other has left in the caches.
            if round % 2 == 0 {
                of_ours.take(&mut ours);
                of_peer.take(&mut peer);
            } else {
                of_peer.take(&mut peer);
                of_ours.take(&mut ours);
            }
            if of_ours.done() && of_peer.done() {
                break;
            }
        }
        Figures {
            disturbed: of_ours.disturbed + of_peer.disturbed,
            ours: of_ours.spread(),
            peer: of_peer.spread(),
            rounds,
        }
    }

    /// Measures ours alone, against a constant.
    pub fn against(&self, rounds: usize, constant: f64, ours: impl FnMut() -> Taken) -> Figures {
        let of_ours = self.alone(rounds, ours);
        let peer = Spread { low: constant, median: constant, high: constant };
        Figures { disturbed: of_ours.disturbed, ours: of_ours.spread(), peer, rounds }
    }

    /// The median of one side alone.
    pub fn median(&self, rounds: usize, side: impl FnMut() -> Taken) -> f64 {
        self.alone(rounds, side).spread().median
    }

    fn alone(&self, wanted: usize, mut side: impl FnMut() -> Taken) -> Rounds {
        black_box(side());
        let mut rounds = Rounds::new(wanted);
        while !rounds.done() {
            rounds.take(&mut side);
        }
        rounds
    }
}

/// The rounds of one side: those that were disturbed are taken again, but not for ever.
struct Rounds {
    wanted: usize,
    values: Vec<f64>,
    disturbed: usize,
}

impl Rounds {
    fn new(wanted: usize) -> Rounds {
        Rounds { wanted, values: Vec::with_capacity(wanted), disturbed: 0 }
    }

    fn done(&self) -> bool {
        self.values.len() >= self.wanted
    }

    fn take(&mut self, side: &mut impl FnMut() -> Taken) {
        let taken = side();
        if taken.disturbed && self.disturbed < 4 * self.wanted {
            self.disturbed += 1;
        } else if !self.done() {
            self.values.push(taken.ns);
        }
    }

    fn spread(self) -> Spread {
        Spread::of(self.values)
    }
}

impl Figures {
    /// The line for `cargo xtask bench`.
    pub fn line(&self, name: &str) -> Value {
        json!({
            "row": name,
            "ours_ns": self.ours.median,
            "peer_ns": self.peer.median,
            "ours_spread": [self.ours.low, self.ours.high],
            "peer_spread": [self.peer.low, self.peer.high],
            "rounds": self.rounds,
            "disturbed": self.disturbed,
        })
    }
}

impl Spread {
    /// The quartiles of some rounds.
    pub fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let at =
            |quarter: usize| values.get((values.len() * quarter / 4).min(values.len() - 1)).copied().unwrap_or(0.0);
        Spread { low: at(1), median: at(2), high: at(3) }
    }
}

impl Taken {
    /// What was measured by other means, undisturbed as far as can be told.
    pub fn of(ns: f64) -> Taken {
        Taken { ns, disturbed: false }
    }

    /// The same, disturbed by what this thread did not see.
    pub fn but_disturbed(self) -> Taken {
        Taken { disturbed: true, ..self }
    }

    /// The mean of what several threads measured at once.
    pub fn mean(all: &[Taken]) -> Taken {
        let sum: f64 = all.iter().map(|one| one.ns).sum();
        Taken { ns: sum / all.len() as f64, disturbed: all.iter().any(|one| one.disturbed) }
    }
}

/// Runs this once and returns nanoseconds for each of the operations that it does.
pub fn nanoseconds(operations: usize, work: impl FnOnce()) -> Taken {
    let switches = preemptions();
    let start = Instant::now();
    work();
    let time = start.elapsed();
    Taken { ns: time.as_nanos() as f64 / operations as f64, disturbed: preemptions() != switches }
}

/// How often the system has taken the processor from this thread. Sleeping of its own accord does not count.
pub fn preemptions() -> i64 {
    #[cfg(target_os = "linux")]
    const WHO: libc::c_int = libc::RUSAGE_THREAD;
    #[cfg(not(target_os = "linux"))]
    const WHO: libc::c_int = libc::RUSAGE_SELF;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a place for the answer, and zeros are a valid `rusage`.
    let usage = unsafe {
        libc::getrusage(WHO, usage.as_mut_ptr());
        usage.assume_init()
    };
    #[allow(clippy::unnecessary_cast, reason = "the field has other types on other systems")]
    return usage.ru_nivcsw as i64;
}
