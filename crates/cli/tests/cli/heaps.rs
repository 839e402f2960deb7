//! `list`, `stats`, `viz`, `who`, `check` and `remove` on real heaps, in one process and across several.

use weaveheap_core::{BorrowKind, Handle, HeapOptions, Runtime};

use crate::common::{Companion, Folder, as_child, borrow, buffer, region, row};

fn pid() -> String {
    std::process::id().to_string()
}

#[test]
fn an_empty_or_absent_folder_has_no_heaps() {
    let folder = Folder::new();
    for arguments in [&["list"][..], &["stats"], &["viz"]] {
        assert_eq!(folder.ok(arguments), format!("No heaps in {}.\n", folder.path().display()));
    }
    assert_eq!(folder.json(&["list", "--json"])["heaps"], serde_json::json!([]));
    assert_eq!(folder.json(&["stats", "--json"]), serde_json::json!([]));
    std::fs::remove_dir(folder.path()).unwrap();
    assert_eq!(folder.ok(&["list"]), format!("No heaps in {}.\n", folder.path().display()));
}

#[test]
fn list_shows_each_heap_with_what_it_holds() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let other = folder.heap("a.second_heap-2");
    let frames = region(&heap, "frames");
    let first = buffer(&heap, frames, 1 << 20);
    buffer(&heap, frames, 1 << 19);
    let _lease = borrow(&heap, first, BorrowKind::Shared);

    let text = folder.ok(&["list"]);
    assert_eq!(text.lines().count(), 3, "{text}");
    let cells = row(&text, "flights");
    assert_eq!(
        (cells[0].as_str(), cells[1].as_str(), cells[3].as_str()),
        ("flights", "1.50 MiB", "64.0 MiB"),
        "{text}"
    );
    assert_eq!(cells[4..], ["1", "2", "1", "1", "rust"], "{text}");
    assert_eq!(row(&text, "a.second_heap-2")[4..], ["0", "0", "0", "1", "rust"]);

    let json = folder.json(&["list", "--json"]);
    assert_eq!(json["folder"], folder.path().display().to_string());
    let heaps = json["heaps"].as_array().unwrap();
    assert_eq!(heaps.iter().map(|heap| &heap["name"]).collect::<Vec<_>>(), ["a.second_heap-2", "flights"]);
    assert_eq!(
        (&heaps[1]["bytes_live"], &heaps[1]["borrows"], &heaps[1]["id"]),
        (&(3 << 19).into(), &1.into(), &heap.id().into())
    );
    drop(other);
}

#[test]
fn stats_agrees_with_the_heap_itself() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    let first = buffer(&heap, frames, 100_000);
    let second = buffer(&heap, frames, 5);
    heap.publish("table", first).unwrap();
    let shared = borrow(&heap, first, BorrowKind::Shared);
    let _unique = borrow(&heap, second, BorrowKind::Unique);
    assert!(heap.borrow(second, BorrowKind::Shared).is_err());
    heap.alloc_from(frames, b"copied", 64).unwrap();

    let seen = folder.json(&["stats", "flights", "--json"]);
    let own: serde_json::Value = serde_json::from_str(&heap.snapshot().unwrap().to_json()).unwrap();
    for key in ["id", "limit", "reserved", "bytes_live", "layout_version"] {
        assert_eq!(seen["heap"][key], own["heap"][key], "{key}");
    }
    assert_eq!(seen["heap"]["bytes_live"], 100_011);
    assert_eq!(seen["names"], serde_json::json!([{ "name": "table", "handle": first.to_string() }]));
    assert_eq!(seen["counters"]["conflicts"], 1);
    assert_eq!(seen["counters"]["copies"]["ingest"], serde_json::json!({ "count": 1, "bytes": 6 }));
    assert_eq!(seen["counters"], own["counters"], "looking counts nothing");
    assert_eq!(seen["regions"], own["regions"]);

    let text = folder.ok(&["stats", "flights"]);
    assert_eq!(row(&text, "flights")[..4], ["flights", "shared heap", "1 region", "2 borrows"], "{text}");
    assert_eq!(row(&text, &frames.to_string())[1..4], ["frames", "open", "3"]);
    assert_eq!(row(&text, "table"), ["table", &first.to_string()]);
    assert_eq!(row(&text, "conflicts")[1], "1");
    assert_eq!(row(&text, "ingest")[1], "6 B");
    let holders: Vec<Vec<String>> = text
        .lines()
        .filter(|line| line.contains("  shared  ") || line.contains("  unique  "))
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(String::from).collect())
        .collect();
    assert_eq!(holders.len(), 2, "{text}");
    for cells in &holders {
        assert_eq!(cells[..2], ["rust".to_string(), pid()], "{text}");
        assert!(cells.contains(&"frames".to_string()) && cells.contains(&"cli test".to_string()), "{text}");
    }

    drop(shared);
    assert_eq!(folder.json(&["stats", "flights", "--json"])["borrows"].as_array().unwrap().len(), 1);
}

#[test]
fn stats_and_viz_take_a_file_and_show_all_heaps_without_one() {
    let folder = Folder::new();
    let first = folder.heap("first");
    let second = folder.heap("second");
    let path = folder.file("second").display().to_string();
    assert_eq!(folder.json(&["stats", "--path", &path, "--json"])["heap"]["id"], second.id());
    assert_eq!(folder.json(&["viz", "--path", &path, "--json"])["heap"]["path"], path);
    let ids = |value: serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|heap| heap["heap"]["id"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(ids(folder.json(&["stats", "--json"])), [first.id(), second.id()]);
    assert_eq!(ids(folder.json(&["viz", "--json"])), [first.id(), second.id()]);
    let text = folder.ok(&["viz"]);
    assert!(row(&text, "first")[1] == "shared heap" && row(&text, "second")[1] == "shared heap", "{text}");
}

#[test]
fn private_heaps_made_with_inspect_are_seen_by_process() {
    let folder = Folder::new();
    let heap = HeapOptions::new().limit(64 << 20).inspect(true).private().unwrap();
    let hidden = HeapOptions::new().limit(64 << 20).private().unwrap();
    let scratch = region(&heap, "scratch of the private heap");
    let bytes = buffer(&heap, scratch, 4096);
    let _lease = borrow(&heap, bytes, BorrowKind::Unique);

    let heaps = folder.json(&["stats", "--pid", &pid(), "--json"]);
    let seen: Vec<&serde_json::Value> = heaps.as_array().unwrap().iter().map(|heap| &heap["heap"]).collect();
    let own = seen.iter().find(|seen| seen["id"] == heap.id()).unwrap_or_else(|| panic!("{seen:?}"));
    assert_eq!((&own["shared"], &own["bytes_live"]), (&false.into(), &4096.into()));
    assert!(seen.iter().all(|seen| seen["id"] != hidden.id()), "a heap without inspect is nobody's to see");
    let text = folder.ok(&["viz", "--pid", &pid()]);
    assert!(text.contains("private heap") && text.contains("scratch of the private heap"), "{text}");
    let holders = folder.json(&["who", "--pid", &pid(), &bytes.to_string(), "--json"]);
    assert_eq!((&holders[0]["kind"], &holders[0]["process"]), (&"unique".into(), &std::process::id().into()));
    let checked = folder.ok(&["check", "--pid", &pid()]);
    assert!(checked.contains("is sound: 1 region, 1 chunk, 1 buffer, 1 borrow, 1 attachment."), "{checked}");
    let reports = folder.json(&["check", "--pid", &pid(), "--json"]);
    assert!(reports.as_array().unwrap().iter().any(|report| report["borrows"] == 1 && report["chunks"] == 1));
    let listed = folder.json(&["list", "--pid", &pid(), "--json"]);
    assert!(listed["heaps"].as_array().unwrap().iter().any(|entry| entry["id"] == heap.id()));
}

#[test]
fn a_process_without_private_heaps_to_see_is_told_what_to_do() {
    as_child(|_| {});
    let folder = Folder::new();
    let child =
        Companion::start("heaps::a_process_without_private_heaps_to_see_is_told_what_to_do", &folder.file("none"));
    for command in ["stats", "viz", "check", "list"] {
        let said = folder.fails(1, &[command, "--pid", &child.id().to_string()]);
        assert!(said.contains("WEAVEHEAP_INSPECT=1"), "{said}");
    }
}

#[test]
fn viz_draws_the_buffers_where_they_are_and_as_they_are() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    let [idle, shared, unique, frozen] = [1, 2, 3, 4].map(|n| buffer(&heap, frames, n << 20));
    heap.freeze(frozen).unwrap();
    let _leases = [
        borrow(&heap, shared, BorrowKind::Shared),
        borrow(&heap, shared, BorrowKind::Shared),
        borrow(&heap, unique, BorrowKind::Unique),
    ];
    let json = folder.json(&["viz", "flights", "--json"]);
    let list = json["regions"][0]["buffer_list"].as_array().unwrap();
    let state = |handle: Handle| {
        let found = list.iter().find(|buffer| buffer["handle"] == handle.to_string()).unwrap();
        (found["state"].as_str().unwrap().to_string(), found["length"].as_u64().unwrap())
    };
    assert_eq!(state(idle), ("idle".into(), 1 << 20));
    assert_eq!(state(shared), ("shared".into(), 2 << 20));
    assert_eq!(state(unique), ("unique".into(), 3 << 20));
    assert_eq!(state(frozen), ("frozen".into(), 4 << 20));

    let text = folder.ok(&["viz", "flights", "--width", "100"]);
    let bar = text.lines().find(|line| line.contains('█') && line.contains('▕')).unwrap_or_else(|| panic!("{text}"));
    let cells = |glyph: char| bar.chars().filter(|c| *c == glyph).count();
    // To scale: 2, 3 and 4 MiB stand to each other as their cells do, give or take the cells at their ends.
    let mib = cells('▒') as f64 / 4.0;
    assert!(mib > 4.0, "{text}");
    assert!((cells('▓') as f64 - 2.0 * mib).abs() <= 2.5 && (cells('█') as f64 - 3.0 * mib).abs() <= 2.5, "{text}");
    assert!(text.contains("shared by 2") && text.contains(&format!("process {}", pid())), "{text}");
    assert_eq!(text.lines().filter(|line| line.trim_start().starts_with("shared  rust")).count(), 2, "{text}");
}

#[test]
fn output_fits_the_width_that_is_asked_for() {
    let folder = Folder::new();
    let heap = folder.heap("a-heap-with-a-name-that-is-much-longer-than-most");
    let frames = region(&heap, "Flüge über dem Atlantik 航班航班航班航班");
    let bytes = buffer(&heap, frames, 1 << 20);
    let _leases = [borrow(&heap, bytes, BorrowKind::Shared), borrow(&heap, bytes, BorrowKind::Shared)];
    let handle = bytes.to_string();
    let name = "a-heap-with-a-name-that-is-much-longer-than-most";
    for width in ["120", "80", "40"] {
        for arguments in [&["list"][..], &["stats"], &["viz"], &["who", name, &handle], &["doctor"]] {
            let ran = folder.run(&[arguments, &["--width", width]].concat());
            let limit: usize = width.parse().unwrap();
            for line in ran.out.lines() {
                let columns = unicode_width::UnicodeWidthStr::width(line);
                assert!(columns <= limit, "{arguments:?} at {width}: {columns} columns: {line}");
            }
            assert!(!ran.out.is_empty(), "{arguments:?}");
        }
        assert!(folder.ok(&["who", name, &handle, "--width", width]).contains(&pid()));
    }
}

#[test]
fn who_names_the_holders_of_buffers_and_regions() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    let [first, second] = [(); 2].map(|()| buffer(&heap, frames, 64));
    let lease = borrow(&heap, first, BorrowKind::Unique);
    let _other = borrow(&heap, second, BorrowKind::Shared);

    let text = folder.ok(&["who", "flights", &first.to_string()]);
    let cells = row(&text, "rust");
    assert_eq!((cells[1].clone(), cells[4].as_str(), cells[5].clone()), (pid(), "unique", first.to_string()), "{text}");
    let holders = folder.json(&["who", "flights", &frames.to_string(), "--json"]);
    assert_eq!(holders.as_array().unwrap().len(), 2);
    assert!(holders.as_array().unwrap().iter().all(|holder| holder["label"] == "cli test"));

    drop(lease);
    let said = folder.ok(&["who", "flights", &first.to_string()]);
    assert_eq!(said, format!("Nobody holds a borrow of buffer {first}.\n"));
    heap.free(first).unwrap();
    let said = folder.fails(1, &["who", "flights", &first.to_string()]);
    assert!(said.contains("flights") && said.contains("StaleHandle") && said.contains(&first.to_string()), "{said}");
}

#[test]
fn holders_of_other_processes_and_languages_are_seen_and_the_dead_are_marked() {
    as_child(|path| {
        // SAFETY: the child touches bytes only through its lease.
        let heap = unsafe { HeapOptions::new().runtime(Runtime::Python).label("the child").open_path(path) }.unwrap();
        let table = heap.lookup("table").unwrap();
        std::mem::forget(heap.borrow(table, BorrowKind::Unique).unwrap());
    });
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    let table = buffer(&heap, frames, 1 << 20);
    heap.publish("table", table).unwrap();
    let child = Companion::start(
        "heaps::holders_of_other_processes_and_languages_are_seen_and_the_dead_are_marked",
        &folder.file("flights"),
    );
    let process = child.id();
    let holders = folder.json(&["who", "flights", &table.to_string(), "--json"]);
    assert_eq!(
        (&holders[0]["runtime"], &holders[0]["process"], &holders[0]["kind"], &holders[0]["alive"]),
        (&"python".into(), &process.into(), &"unique".into(), &true.into())
    );
    let listed = folder.ok(&["list"]);
    assert_eq!(row(&listed, "flights").last().unwrap(), "rust python", "{listed}");

    child.kill();
    let holders = folder.json(&["who", "flights", &table.to_string(), "--json"]);
    assert_eq!(holders[0]["alive"], false, "{holders}");
    let text = folder.ok(&["stats", "flights"]);
    assert_eq!(row(&text, "python").last().unwrap(), "dead", "{text}");
    assert!(folder.ok(&["viz", "flights"]).contains("dead"));
    // Looking has changed nothing: the borrow is there until somebody who is attached recovers it.
    assert_eq!(folder.json(&["stats", "flights", "--json"])["borrows"].as_array().unwrap().len(), 1);

    folder.ok(&["check", "flights", "--read-only"]);
    assert_eq!(folder.json(&["stats", "flights", "--json"])["borrows"].as_array().unwrap().len(), 1);

    let text = folder.ok(&["check", "flights"]);
    assert!(
        text.contains("flights is sound") && text.contains("0 borrows"),
        "check recovers what the dead held: {text}"
    );
    assert!(folder.json(&["viz", "flights", "--json"])["regions"][0]["buffer_list"][0]["state"] == "poisoned");
    assert!(folder.ok(&["viz", "flights"]).contains("poisoned"));
}

#[test]
fn looking_and_checking_go_on_while_the_heap_changes() {
    let folder = Folder::new();
    let heap = folder.heap("busy");
    let private = HeapOptions::new().limit(64 << 20).inspect(true).private().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let churn = |heap: &weaveheap_core::Heap| {
        let mut rounds = 0_u64;
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let frames = region(heap, "frames");
            let buffers: Vec<Handle> = (1..20).map(|n| buffer(heap, frames, 5000 * n)).collect();
            for handle in &buffers {
                drop(borrow(heap, *handle, BorrowKind::Shared));
                drop(borrow(heap, *handle, BorrowKind::Unique));
            }
            heap.free(buffers[3]).unwrap();
            heap.close(frames).unwrap();
            rounds += 1;
        }
        rounds
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(|| churn(&heap)), scope.spawn(|| churn(&heap)), scope.spawn(|| churn(&private))];
        for _ in 0..10 {
            for arguments in [
                &["list"][..],
                &["stats"],
                &["viz"],
                &["check", "busy"],
                &["check", "--pid", &pid()],
                &["check", "busy", "--read-only"],
            ] {
                folder.ok(arguments);
            }
            let json = folder.json(&["viz", "busy", "--json"]);
            for region in json["regions"].as_array().unwrap() {
                assert!(region["buffer_list"].as_array().unwrap().len() <= 19, "{region}");
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for thread in threads {
            assert!(thread.join().unwrap() > 0, "nothing changed meanwhile");
        }
    });
    assert!(folder.ok(&["check", "busy"]).contains("0 regions"));
}

#[test]
fn viz_shows_every_name_of_a_buffer_and_of_a_region() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    let other = region(&heap, "other");
    let [first, second] = [frames, other].map(|region| buffer(&heap, region, 1000));
    for (name, handle) in
        [("flights", first), ("flights-km", first), ("last", second), ("all", frames), ("any", frames)]
    {
        heap.publish(name, handle).unwrap();
    }
    let text = folder.ok(&["viz", "flights", "--width", "200"]);
    let line = |handle: Handle| {
        let found = text.lines().find(|line| line.split_whitespace().any(|word| word == handle.to_string()));
        found.unwrap_or_else(|| panic!("{handle}: {text}"))
    };
    assert!(line(first).ends_with("published as flights, flights-km"), "{text}");
    assert!(line(second).ends_with("published as last"), "{text}");
    assert!(line(frames).contains("published as all, any  open"), "{text}");
}

#[test]
fn check_from_outside_verifies_everything_and_changes_nothing() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    let bytes = buffer(&heap, frames, 1000);
    let _lease = borrow(&heap, bytes, BorrowKind::Unique);
    let before = std::fs::read(folder.file("flights")).unwrap();
    let text = folder.ok(&["check", "flights", "--read-only"]);
    assert_eq!(text, "flights is sound: 1 region, 1 chunk, 1 buffer, 1 borrow, 1 attachment.\n");
    let path = folder.file("flights").display().to_string();
    let report = folder.json(&["check", "--path", &path, "--read-only", "--json"]);
    assert_eq!((&report["regions"], &report["borrows"], &report["attachments"]), (&1.into(), &1.into(), &1.into()));
    assert!(before == std::fs::read(folder.file("flights")).unwrap(), "it has written to the heap");

    // A slot's count of borrows that the ledger does not have.
    let state = (u64::from(bytes.generation()) << 32).to_le_bytes();
    let unique = before.windows(8).enumerate().filter(|(_, word)| word[4..] == state[4..] && word[3] & 0x80 != 0);
    let places: Vec<usize> = unique.map(|(at, _)| at).filter(|at| at % 8 == 0).collect();
    let [place] = places[..] else { panic!("the slot's state stands in {places:?}") };
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().write(true).open(folder.file("flights")).unwrap();
    file.write_all_at(&1u64.to_le_bytes()[..4], place as u64).unwrap();
    let said = folder.fails(1, &["check", "flights", "--read-only"]);
    assert!(said.contains("flights") && said.contains("Corrupt") && said.contains("the borrows of slot"), "{said}");
    file.write_all_at(&before[place..place + 4], place as u64).unwrap();
    folder.ok(&["check", "flights", "--read-only"]);
}

#[test]
fn check_counts_what_it_walked_and_leaves_no_trace() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    for _ in 0..5 {
        buffer(&heap, frames, 1000);
    }
    let report = folder.json(&["check", "flights", "--json"]);
    assert_eq!((&report["regions"], &report["buffers"], &report["borrows"]), (&1.into(), &5.into(), &0.into()));
    let path = folder.file("flights").display().to_string();
    assert!(folder.ok(&["check", "--path", &path]).contains(&format!("{path} is sound: 1 region, ")));
    assert_eq!(heap.snapshot().unwrap().attachments.len(), 1, "it has detached");
}

#[test]
fn remove_unlinks_and_leaves_the_memory_to_those_who_have_it() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    assert_eq!(folder.ok(&["remove", "flights"]), "Removed flights; its memory goes when 1 attachment has ended.\n");
    assert!(!folder.file("flights").exists());
    buffer(&heap, frames, 1000);
    let said = folder.fails(1, &["remove", "flights"]);
    assert!(said.contains("NotFound") && said.contains("flights"), "{said}");

    let second = folder.heap("second");
    drop(second);
    let path = folder.file("second").display().to_string();
    assert_eq!(folder.ok(&["remove", "--path", &path]), format!("Removed {path}.\n"));
    assert!(!folder.file("second").exists());
}
