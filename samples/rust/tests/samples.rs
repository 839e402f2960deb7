//! Each sample runs and prints what its reader is told to expect.

use std::process::Command;

fn output(program: &str) -> String {
    let output = Command::new(program).output().expect("the sample starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn buffer_runs() {
    let expected = "first pixels: [1, 2, 3, 4] of 1024\nnot freed, 1 holds it\nborrows: 2, bytes copied: 0\n\
                    after close: StaleHandle\n";
    assert_eq!(output(env!("CARGO_BIN_EXE_buffer")), expected);
}

#[test]
fn string_runs_and_leaves_no_heap() {
    let expected = "16 bytes under the name greeting\nread in place: Grüße aus Rust\nclosing says Borrowed\n\
                    after close the name is NotFound\n";
    assert_eq!(output(env!("CARGO_BIN_EXE_string")), expected);
    let left = weaveheap_core::Heap::list().expect("the folder");
    assert!(left.iter().all(|entry| !entry.name.starts_with("sample-string-")), "{left:?}");
}
