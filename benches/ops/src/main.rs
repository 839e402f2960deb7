//! Runs one operation so many times: what callgrind watches.

use weaveheap_bench_ops::{Bench, OPS};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(count)) = (arguments.next(), arguments.next()) else {
        // The names, for who asks.
        OPS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let (_, run) = OPS.iter().find(|(known, _)| *known == name).ok_or("no such operation")?;
    let bench = Bench::new()?;
    run(&bench, count.parse()?)?;
    Ok(())
}
