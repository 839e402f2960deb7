//! Inspection from outside: nothing is changed, nobody is stopped, and private heaps are seen if they allow it (N2, H10).

use weaveheap_core::{BorrowKind, ErrorCode, Handle, Init, Inspector, RegionOptions};

use crate::second::Second;
use crate::support::{SharedHeap, code, wait_for};

#[test]
fn inspector_sees_what_an_attachment_sees_and_is_none() {
    let shared = SharedHeap::new();
    let heap = &shared.heap;
    let region = heap.create_region(&RegionOptions::new().name("seen").limit(1 << 20)).expect("a region");
    let buffer = heap.alloc(region, 1000, 64, Init::Zeroed).expect("room");
    heap.publish("name", buffer).expect("a free name");
    heap.freeze(buffer).expect("free");
    let lease = heap.borrow(buffer, BorrowKind::Shared).expect("free");
    let before = std::fs::read(&shared.path).expect("ours").len();
    let inspector = Inspector::open_path(&shared.path).expect("a heap");
    let (mut seen, mut own) = (inspector.snapshot().expect("a snapshot"), heap.snapshot().expect("a snapshot"));
    for holder in seen.borrows.iter_mut().chain(&mut own.borrows) {
        holder.age_ms = 0;
    }
    assert_eq!(seen, own);
    assert_eq!(seen.attachments.len(), 1, "an inspector is no attachment");
    assert_eq!(inspector.buffers(region, 10).expect("open"), heap.buffers(region, 10).expect("open"));
    assert_eq!(inspector.holders(buffer).expect("live")[0].token, lease.token());
    assert_eq!(inspector.holders(region).expect("open").len(), 1);
    assert_eq!(code(inspector.holders(Handle::from_bits(u64::MAX))), ErrorCode::StaleHandle);
    drop(lease);
    assert_eq!(inspector.snapshot().expect("a snapshot").borrows, [], "what it sees is live");
    heap.close(region).expect("idle");
    assert_eq!(code(inspector.buffers(region, 10)), ErrorCode::StaleHandle);
    assert_eq!(std::fs::read(&shared.path).expect("ours").len(), before);
}

#[test]
fn snapshot_as_json_has_the_same_facts() {
    let shared = SharedHeap::new();
    let region = shared.heap.create_region(&RegionOptions::new().name("Zwölf \"quoted\"")).expect("a region");
    let buffer = shared.heap.alloc(region, 10, 64, Init::Zeroed).expect("room");
    let _lease = shared.heap.borrow(buffer, BorrowKind::Shared).expect("free");
    let snapshot = shared.heap.snapshot().expect("a snapshot");
    let json: serde_json::Value = serde_json::from_str(&snapshot.to_json()).expect("JSON");
    assert_eq!(json["heap"]["shared"], true);
    assert_eq!(json["heap"]["layout_version"], weaveheap_core::LAYOUT_VERSION);
    assert_eq!(json["regions"][0]["handle"], region.to_string());
    assert_eq!(json["regions"][0]["name"], "Zwölf \"quoted\"");
    assert_eq!(json["regions"][0]["counters"]["allocations"], 1);
    assert_eq!(json["borrows"][0]["handle"], buffer.to_string());
    assert_eq!(json["borrows"][0]["kind"], "shared");
    assert_eq!(json["borrows"][0]["runtime"], "rust");
    assert_eq!(json["attachments"][0]["process"], std::process::id());
    assert_eq!(json["counters"]["copies"]["ingest"]["bytes"], 0);
}

#[test]
fn private_heap_made_with_inspect_is_seen_by_process_id() {
    let mut second = Second::start("obey", &[]);
    assert_eq!(second.hear(), "ready");
    assert_eq!(second.ask("private inspect"), "ok");
    let region = second.ask("region")["ok ".len()..].to_owned();
    let buffer = second.ask(&format!("alloc {region} 77"))["ok ".len()..].to_owned();
    assert_eq!(second.ask(&format!("unique {buffer}")), "ok 1");
    let id = second.ask("id")["ok ".len()..].to_owned();
    let found = Inspector::of_process(second.id()).expect("the process lives");
    assert_eq!(found.len(), 1);
    let snapshot = found[0].snapshot().expect("a snapshot");
    assert_eq!((snapshot.heap.id.as_str(), snapshot.heap.shared), (id.as_str(), false));
    assert_eq!(snapshot.regions[0].handle.to_string(), region);
    assert_eq!((snapshot.borrows[0].process, snapshot.borrows[0].kind), (second.id(), BorrowKind::Unique));
    assert_eq!(snapshot.borrows[0].label, "second");
    // Live: what the process does next is seen.
    assert_eq!(second.ask("end 1"), "ok");
    assert_eq!(found[0].snapshot().expect("a snapshot").borrows, []);
    second.finish();
}

#[test]
fn private_heap_made_without_inspect_is_not_seen() {
    let mut second = Second::start_in("obey", &[], &[("WEAVEHEAP_INSPECT", "0")]);
    assert_eq!(second.hear(), "ready");
    assert_eq!(second.ask("private"), "ok");
    assert!(Inspector::of_process(second.id()).expect("the process lives").is_empty());
    second.finish();
}

#[test]
fn environment_makes_private_heaps_seen() {
    let mut second = Second::start_in("obey", &[], &[("WEAVEHEAP_INSPECT", "1")]);
    assert_eq!(second.hear(), "ready");
    assert_eq!(second.ask("private"), "ok");
    assert_eq!(Inspector::of_process(second.id()).expect("the process lives").len(), 1);
    second.finish();
}

#[test]
fn process_that_has_gone_is_not_found() {
    let mut second = Second::start("obey", &[]);
    assert_eq!(second.hear(), "ready");
    let id = second.id();
    second.finish();
    wait_for("the process is gone", || Inspector::of_process(id).is_err());
    assert_eq!(code(Inspector::of_process(id).map(drop)), ErrorCode::NotFound);
}
