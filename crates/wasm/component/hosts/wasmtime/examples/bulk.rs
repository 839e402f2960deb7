//! What it costs to get a MiB into the component's heap and out, in pieces of several sizes, beside what stays inside.
//! The component's file is the argument.

use std::hint::black_box;
use std::time::Instant;

use wasmtime::Result;
use wasmtime::component::ResourceAny;
use weaveheap_component_wasmtime::interface::{BufferOptions, HeapOptions, RegionOptions};
use weaveheap_component_wasmtime::{Compiled, Instance, answer};

const MIB: usize = 1 << 20;
const ROUNDS: usize = 401;

/// The median of many rounds, in microseconds.
fn median(mut round: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}

/// An instance with a buffer of this length, borrowed for writing.
fn borrowed(compiled: &Compiled, length: usize) -> Result<(Instance, ResourceAny, ResourceAny)> {
    let mut instance = compiled.instance(usize::MAX)?;
    let borrowed = instance.call(|api, mut store| -> Result<_> {
        let heap = answer(api.heap().call_create(&mut store, &HeapOptions { limit: None, label: String::new() }))?;
        let options = RegionOptions { name: "bulk".to_owned(), limit: None };
        let region = answer(api.heap().call_create_region(&mut store, heap, &options))?;
        let options = BufferOptions { align: None, uninitialised: false };
        let buffer = answer(api.region().call_alloc(&mut store, region, length as u64, options))?;
        Ok((region, answer(api.byte_buffer().call_borrow_unique(&mut store, buffer))?))
    })?;
    Ok((instance, borrowed.0, borrowed.1))
}

fn write(instance: &mut Instance, to: ResourceAny, from: &[u8], piece: usize) -> Result<()> {
    for (at, bytes) in from.chunks(piece).enumerate() {
        answer(instance.call(|api, store| api.unique_borrow().call_write(store, to, (at * piece) as u64, bytes)))?;
    }
    Ok(())
}

fn read(instance: &mut Instance, from: ResourceAny, to: &mut [u8], piece: usize) -> Result<()> {
    for (at, bytes) in to.chunks_mut(piece).enumerate() {
        let (offset, length) = ((at * piece) as u64, bytes.len() as u64);
        let got = answer(instance.call(|api, store| api.unique_borrow().call_read(store, from, offset, length)))?;
        bytes.copy_from_slice(&got);
    }
    Ok(())
}

fn main() -> Result<()> {
    let file = std::env::args().nth(1).ok_or_else(|| wasmtime::Error::msg("name the component's file"))?;
    let compiled = Compiled::new(file)?;
    let mut bytes = vec![7; MIB];
    let mut copy = vec![0; MIB];
    println!("1 MiB, median of {ROUNDS} rounds, in us");
    let plain = median(|| {
        black_box(&mut copy).copy_from_slice(black_box(&bytes));
        Ok(())
    })?;
    println!("copy in the program: {plain:.0}");
    println!("{:>10} {:>8} {:>8}", "piece", "in", "out");
    for piece in [4 << 10, 16 << 10, 64 << 10, 256 << 10, MIB] {
        let (mut instance, _, unique) = borrowed(&compiled, MIB)?;
        let into = median(|| write(&mut instance, unique, &bytes, piece))?;
        let out = median(|| read(&mut instance, unique, &mut bytes, piece))?;
        println!("{:>6} KiB {into:>8.0} {out:>8.0}", piece >> 10);
    }
    let (mut instance, region, unique) = borrowed(&compiled, MIB)?;
    let other = instance.call(|api, mut store| -> Result<_> {
        let buffer = answer(api.region().call_alloc_from(&mut store, region, &bytes))?;
        answer(api.byte_buffer().call_borrow_shared(&mut store, buffer))
    })?;
    let inside = median(|| {
        answer(instance.call(|api, store| api.unique_borrow().call_copy_from(store, unique, 0, other, 0, MIB as u64)))
    })?;
    println!("from buffer to buffer, inside: {inside:.0}");
    let call = median(|| {
        for _ in 0..1000 {
            black_box(instance.call(|api, store| api.unique_borrow().call_length(store, unique))?);
        }
        Ok(())
    })?;
    println!("the least call: {:.3}", call / 1000.0);
    println!("memory of the instance after 64 MiB in and out, in MiB");
    let many = vec![7; 64 * MIB];
    for piece in [64 << 10, 64 * MIB] {
        let (mut instance, _, unique) = borrowed(&compiled, 64 * MIB)?;
        write(&mut instance, unique, &many, piece)?;
        read(&mut instance, unique, &mut many.clone(), piece)?;
        println!("{:>6} KiB {:>8}", piece >> 10, instance.store.data().memory >> 20);
    }
    Ok(())
}
