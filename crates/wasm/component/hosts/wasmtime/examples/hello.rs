//! The least that a program does with the component. The component's file is the argument.

use wasmtime::Result;
use weaveheap_component_wasmtime::interface::{HeapOptions, RegionOptions};
use weaveheap_component_wasmtime::{Compiled, answer};

fn main() -> Result<()> {
    let file = std::env::args().nth(1).ok_or_else(|| wasmtime::Error::msg("name the component's file"))?;
    let mut instance = Compiled::new(file)?.instance(1 << 30)?;
    instance.call(|api, mut store| {
        let options = HeapOptions { limit: None, label: "hello".to_owned() };
        let heap = answer(api.heap().call_create(&mut store, &options))?;
        let options = RegionOptions { name: "words".to_owned(), limit: None };
        let region = answer(api.heap().call_create_region(&mut store, heap, &options))?;
        let word = answer(api.region().call_alloc_string(&mut store, region, "Gewölbe"))?;

        let reading = answer(api.byte_buffer().call_borrow_shared(&mut store, word))?;
        let text = answer(api.shared_borrow().call_text(&mut store, reading))?;
        println!("{text}, {} bytes", api.byte_buffer().call_length(&mut store, word)?);

        // The outer result is a trap, or a resource that is not there; the inner one is a refusal.
        if let Err(refusal) = api.byte_buffer().call_borrow_unique(&mut store, word)? {
            let holders = answer(api.heap().call_holders(&mut store, heap, refusal.about))?;
            println!("refused: {:?}, {} in the way", refusal.code, holders.len());
        }

        // wasmtime drops nothing by itself. The borrow ends here.
        reading.resource_drop(&mut store)?;
        answer(api.region().call_close(&mut store, region))?;
        for resource in [word, region, heap] {
            resource.resource_drop(&mut store)?;
        }
        Ok(())
    })
}
