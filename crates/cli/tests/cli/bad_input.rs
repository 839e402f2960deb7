//! Bad names, absent heaps and damaged files: one clear line, a status that is not 0, and never a crash.

use std::os::unix::fs::{FileExt, PermissionsExt, symlink};

use crate::common::{Folder, buffer, region};

#[test]
fn bad_names_are_refused_and_paths_are_pointed_out() {
    let folder = Folder::new();
    for name in ["Flights", ".hidden", "a b", "ä", "a\nb", &"x".repeat(65)] {
        for command in ["stats", "viz", "check", "remove"] {
            let said = folder.fails(2, &[command, name]);
            assert!(said.contains("is no heap's name"), "{said}");
        }
    }
    let said = folder.fails(2, &["remove", "--pid", "42"]);
    assert!(said.contains("ends with its process 42"), "{said}");
    let said = folder.fails(2, &["stats", "../heaps/flights"]);
    assert!(said.contains("--path \"../heaps/flights\""), "{said}");
}

#[test]
fn absent_heaps_files_and_processes_are_not_found() {
    let folder = Folder::new();
    for arguments in [
        &["stats", "flights"][..],
        &["viz", "flights"],
        &["who", "flights", "b1:3"],
        &["check", "flights"],
        &["remove", "flights"],
        &["stats", "--path", "/nonexistent/flights"],
        &["check", "--path", "/nonexistent/flights"],
        &["remove", "--path", "/nonexistent/flights"],
        &["stats", "--pid", "2147483646"],
        &["list", "--pid", "2147483646"],
        &["who", "--pid", "2147483646", "b1:3"],
        &["check", "--pid", "2147483646"],
    ] {
        let said = folder.fails(1, arguments);
        assert!(said.contains("NotFound"), "{arguments:?}: {said}");
        assert!(said.contains("flights") || said.contains("2147483646"), "{arguments:?}: {said}");
    }
}

#[test]
fn handles_that_are_none_are_a_misuse_and_forged_ones_are_stale() {
    let folder = Folder::new();
    let heap = folder.heap("flights");
    let frames = region(&heap, "frames");
    buffer(&heap, frames, 64);
    for handle in ["17", "b17", "x1:1", "b1:0", "null", "b-1:1", ""] {
        folder.fails(2, &["who", "flights", handle]);
    }
    for handle in ["b0:1", "b4000000:7", "r0:1", "r2000000000:4294967295", "b2147483647:4294967295"] {
        let said = folder.fails(1, &["who", "flights", handle]);
        assert!(said.contains("StaleHandle"), "{said}");
    }
}

#[test]
fn misuse_has_status_two() {
    let folder = Folder::new();
    for arguments in [
        &["frobnicate"][..],
        &[],
        &["who", "flights"],
        &["check"],
        &["remove"],
        &["stats", "--pid", "x"],
        &["stats", "flights", "--path", "f"],
        &["remove", "--pid", "1"],
        &["stats", "--watch", "0"],
        &["viz", "--width", "3"],
        &["completions", "tcsh"],
    ] {
        let ran = folder.run(arguments);
        assert_eq!(ran.status, 2, "{arguments:?}: {ran:?}");
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{arguments:?}: {ran:?}");
    }
}

/// Every way to look at the heap `bad`, and the file of it.
fn look(folder: &Folder) -> Vec<String> {
    let path = folder.file("bad").display().to_string();
    [
        &["stats", "bad"][..],
        &["viz", "bad"],
        &["who", "bad", "b1:3"],
        &["check", "bad"],
        &["stats", "--path", &path],
        &["check", "--path", &path],
    ]
    .iter()
    .map(|arguments| folder.fails(1, arguments))
    .collect()
}

#[test]
fn files_that_are_no_heaps_are_named_and_do_not_hide_the_others() {
    let folder = Folder::new();
    let _good = folder.heap("good");
    for content in [&b""[..], b"x", b"this is a text, and no heap at all", &[0; 8192], &[0xff; 8192]] {
        std::fs::write(folder.file("bad"), content).unwrap();
        std::fs::set_permissions(folder.file("bad"), std::fs::Permissions::from_mode(0o600)).unwrap();
        for said in look(&folder) {
            assert!(said.contains("Incompatible") || said.contains("Corrupt"), "{said}");
            assert!(said.contains("bad"), "{said}");
        }
        for command in ["list", "stats", "viz"] {
            let ran = folder.run(&[command]);
            assert_eq!((ran.status, ran.err.lines().count()), (1, 1), "{ran:?}");
            assert!(ran.out.contains("good") && ran.err.contains("bad"), "{ran:?}");
        }
        let json = folder.run(&["list", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!(json["unreadable"].as_array().unwrap().len(), 1, "{json}");
    }
    // A damaged file can still be removed by its name.
    folder.ok(&["remove", "bad"]);
    // But a file that is no heap is not removed by its path.
    let letter = folder.beside("letter.txt");
    std::fs::write(&letter, "Dear reader").unwrap();
    let said = folder.fails(1, &["remove", "--path", &letter.display().to_string()]);
    assert!(said.contains("Incompatible") && letter.exists(), "{said}");
}

#[test]
fn folders_pipes_and_links_are_no_heaps() {
    let folder = Folder::new();
    let good = folder.heap("good");
    std::fs::create_dir(folder.file("bad")).unwrap();
    look(&folder);
    std::fs::remove_dir(folder.file("bad")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.file("bad")).status().unwrap();
    assert!(made.success());
    look(&folder);
    std::fs::remove_file(folder.file("bad")).unwrap();
    symlink(folder.file("good"), folder.file("bad")).unwrap();
    let said = folder.fails(1, &["stats", "bad"]);
    assert!(said.contains("link"), "{said}");
    drop(good);
}

#[test]
fn truncated_and_damaged_heaps_give_an_error_or_correct_service() {
    let folder = Folder::new();
    let heap = folder.heap("good");
    let frames = region(&heap, "frames");
    for n in 0..20 {
        buffer(&heap, frames, 100 * n);
    }
    drop(heap);
    let whole = std::fs::read(folder.file("good")).unwrap();
    std::fs::copy(folder.file("good"), folder.file("bad")).unwrap();
    let bad = std::fs::File::options().write(true).open(folder.file("bad")).unwrap();
    // Every byte of the identity, flipped: either it is refused in one line, or it does not matter.
    for (at, byte) in whole.iter().enumerate().take(128) {
        bad.write_all_at(&[byte ^ 0xff], at as u64).unwrap();
        for command in ["stats", "check"] {
            let ran = folder.run(&[command, "bad"]);
            match ran.status {
                0 => assert_eq!(ran.err, "", "byte {at}"),
                1 => assert!(ran.err.lines().count() == 1 && !ran.err.contains("panicked"), "byte {at}: {ran:?}"),
                _ => panic!("byte {at}: {ran:?}"),
            }
            assert!(at >= 32 || ran.status == 1, "byte {at} of the identity was not noticed: {ran:?}");
        }
        bad.write_all_at(&[*byte], at as u64).unwrap();
    }
    for length in [whole.len() - 1, whole.len() / 2, 65_536, 4096, 4095, 64, 63, 1, 0] {
        bad.set_len(length as u64).unwrap();
        for said in look(&folder) {
            assert!(said.contains("Incompatible") || said.contains("Corrupt"), "{length} bytes: {said}");
        }
    }
}

#[test]
fn a_folder_that_is_not_the_users_own_is_refused() {
    let folder = Folder::new();
    let _heap = folder.heap("flights");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for arguments in [&["list"][..], &["stats"], &["stats", "flights"], &["remove", "flights"]] {
        let said = folder.fails(1, arguments);
        assert!(said.contains("Denied") && said.contains("700"), "{said}");
    }
    assert!(folder.file("flights").exists());
}
