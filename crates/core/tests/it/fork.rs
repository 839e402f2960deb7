//! A forked child is no attachment until it attaches again, and what it inherited ends nothing (H7).

use weaveheap_core::{BorrowKind, ErrorCode, Handle};

use crate::second::Second;
use crate::support::{SharedHeap, code};

const REFUSED: &str = "ok NotAttached,NotAttached,NotAttached,NotAttached,NotAttached,NotAttached,NotAttached true";

#[test]
fn forked_child_of_a_shared_heap_is_not_attached() {
    let shared = SharedHeap::new();
    let mut second = Second::start("obey", &[&shared.path.to_string_lossy()]);
    assert_eq!(second.hear(), "ready");
    let region = second.ask("region")["ok ".len()..].to_owned();
    let buffer = second.ask(&format!("alloc {region} 8"))["ok ".len()..].to_owned();
    assert_eq!(second.ask(&format!("shared {buffer}")), "ok 1");
    assert_eq!(second.ask(&format!("fork {buffer}")), REFUSED);
    // The child dropped its copy of the lease; the parent's borrow lives on.
    let handle: Handle = buffer.parse().expect("a handle");
    let holders = shared.heap.holders(handle).expect("live");
    assert_eq!((holders.len(), holders[0].process), (1, second.id()));
    assert_eq!(code(shared.heap.borrow(handle, BorrowKind::Unique)), ErrorCode::BorrowConflict);
    assert_eq!(second.ask("end 1"), "ok");
    shared.heap.borrow(handle, BorrowKind::Unique).expect("the parent has ended it").end();
    assert_eq!(second.ask(&format!("unique {buffer}")), "ok 2");
    assert_eq!(second.ask("check"), "ok");
    second.finish();
}

#[test]
fn forked_child_of_a_private_heap_is_not_attached() {
    let mut second = Second::start("obey", &[]);
    assert_eq!(second.hear(), "ready");
    assert_eq!(second.ask("private"), "ok");
    let region = second.ask("region")["ok ".len()..].to_owned();
    let buffer = second.ask(&format!("alloc {region} 8"))["ok ".len()..].to_owned();
    assert_eq!(second.ask(&format!("unique {buffer}")), "ok 1");
    assert_eq!(second.ask(&format!("fork {buffer}")), REFUSED);
    assert_eq!(second.ask("write 1 parent"), "ok");
    assert_eq!(second.ask("end 1"), "ok");
    assert_eq!(second.ask(&format!("close {region}")), "ok");
    assert_eq!(second.ask("check"), "ok");
    second.finish();
}
