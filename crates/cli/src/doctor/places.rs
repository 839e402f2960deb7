//! The checks of what is found by place and not by name: Java among the system's JVMs, the WebAssembly target beside the
//! compiler, the Android NDK under its SDK.

use std::path::{Path, PathBuf};

use super::Finding;
use super::machine::{Answer, Machine};
use super::tools::{Candidate, judge};
use super::version::Version;

const JAVA: Version = Version::new(22);
const NDK: Version = Version::new(26);
const RUST: Version = Version::minor(1, 95);

/// Folders that hold one JVM each.
const JVMS: &[&str] =
    &["/usr/lib/jvm", "/usr/lib64/jvm", "/usr/java", "/opt/java", "/opt/jvm", "/Library/Java/JavaVirtualMachines"];

/// Java 22 or later: by `JAVA_HOME`, on the path, or anywhere that systems and version managers put JVMs.
pub fn java(machine: &Machine, needed: bool) -> Finding {
    let program = format!("bin/java{}", std::env::consts::EXE_SUFFIX);
    let mut homes: Vec<PathBuf> = machine.variable("JAVA_HOME").into_iter().collect();
    for path in machine.find("java") {
        let real = path.canonicalize().unwrap_or(path);
        homes.extend(real.parent().and_then(Path::parent).map(Path::to_path_buf));
    }
    let mut folders: Vec<PathBuf> = JVMS.iter().map(|folder| machine.at(folder)).collect();
    if let Some(home) = machine.variable("HOME") {
        folders.extend([".sdkman/candidates/java", ".jdks", "Library/Java/JavaVirtualMachines"].map(|f| home.join(f)));
    }
    for folder in folders {
        for home in entries(&folder) {
            homes.push(if home.join("Contents/Home").is_dir() { home.join("Contents/Home") } else { home });
        }
    }
    let mut seen = Vec::new();
    let mut candidates = Vec::new();
    for home in homes {
        let home = home.canonicalize().unwrap_or(home);
        let place = home.join(&program);
        if seen.contains(&home) || !place.exists() {
            continue;
        }
        candidates.push(Candidate { version: java_version(machine, &home, &place), place, least: JAVA });
        seen.push(home);
    }
    let advice = "Install a JDK 22 or later (adoptium.net), and let JAVA_HOME name it if it is not the default.";
    judge("Java", JAVA, "Java programs (java.lang.foreign)", advice, needed, candidates)
}

/// A JVM's version: from its `release` file, which is read at once, or from itself.
fn java_version(machine: &Machine, home: &Path, program: &Path) -> Result<Version, String> {
    let release = std::fs::read_to_string(home.join("release")).unwrap_or_default();
    if let Some(version) = Version::after(&release, &["JAVA_VERSION=\""]) {
        return Ok(version);
    }
    match machine.run(program, &["-version"]) {
        Answer::Said(text) => Version::after(&text, &["version \""]).ok_or_else(|| "it says no version".into()),
        Answer::Failed(why) => Err(why),
    }
}

/// The standard library for wasm32-unknown-unknown, beside any compiler on the path.
pub fn wasm(machine: &Machine, needed: bool) -> Finding {
    let mut candidates = Vec::new();
    for rustc in machine.find("rustc") {
        let Answer::Said(sysroot) = machine.run(&rustc, &["--print", "sysroot"]) else { continue };
        let library = Path::new(sysroot.trim()).join("lib/rustlib/wasm32-unknown-unknown/lib");
        let there = entries(&library).iter().any(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        });
        if there {
            let version = match machine.run(&rustc, &["--version"]) {
                Answer::Said(text) => Version::after(&text, &["rustc "]).ok_or_else(|| "rustc says no version".into()),
                Answer::Failed(why) => Err(why),
            };
            candidates.push(Candidate { place: library, version, least: RUST });
        }
    }
    let advice = "Run `rustup target add wasm32-unknown-unknown`, with Rust 1.95 or later.";
    judge("WebAssembly target", RUST, "browsers and components", advice, needed, candidates)
}

/// The Android NDK: by its own variables, or under the SDK.
pub fn android(machine: &Machine, needed: bool) -> Finding {
    let mut folders: Vec<PathBuf> =
        ["ANDROID_NDK_HOME", "ANDROID_NDK_ROOT", "NDK_HOME"].iter().filter_map(|name| machine.variable(name)).collect();
    let mut kits: Vec<PathBuf> =
        ["ANDROID_HOME", "ANDROID_SDK_ROOT"].iter().filter_map(|name| machine.variable(name)).collect();
    if let Some(home) = machine.variable("HOME") {
        kits.extend([home.join("Android/Sdk"), home.join("Library/Android/sdk")]);
    }
    kits.push(machine.at("/usr/lib/android-sdk"));
    for kit in kits {
        folders.extend(entries(&kit.join("ndk")));
        folders.push(kit.join("ndk-bundle"));
    }
    let candidates = folders
        .into_iter()
        .filter_map(|place| {
            let text = std::fs::read_to_string(place.join("source.properties")).ok()?;
            let version = Version::after(&text, &["Pkg.Revision = ", "Pkg.Revision="]);
            Some(Candidate { place, version: version.ok_or_else(|| "it has no revision".into()), least: NDK })
        })
        .collect();
    let advice = "Install NDK 26 or later with the SDK manager, and let ANDROID_NDK_HOME name it.";
    judge("Android NDK", NDK, "Android programs", advice, needed, candidates)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).map(|found| found.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
    entries.sort();
    entries
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::State;
    use super::super::machine::fake;
    use super::*;

    fn jvm(machine: &Machine, name: &str, release: &str) {
        let home = machine.at(&format!("/usr/lib/jvm/{name}"));
        fake::script(&home.join("bin/java"), "exit 1");
        fake::file(&home.join("release"), release);
    }

    #[test]
    fn java_is_found_among_the_jvms_behind_an_older_default() {
        let (_keep, mut machine) = fake::machine();
        machine.variables.insert("HOME".into(), machine.root.join("home").into());
        assert_eq!(java(&machine, false).state, State::Absent);

        fake::script(&machine.at("/default/bin/java"), "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2");
        std::fs::create_dir_all(&machine.path[0]).unwrap();
        std::os::unix::fs::symlink(machine.at("/default/bin/java"), machine.path[0].join("java")).unwrap();
        let finding = java(&machine, false);
        assert_eq!((finding.state, finding.found.as_str()), (State::TooOld, "17.0.15"));

        jvm(&machine, "java-8", "JAVA_VERSION=\"1.8.0_402\"\n");
        assert_eq!(java(&machine, false).found, "17.0.15", "1.8 is older than 17");
        jvm(&machine, "temurin-25", "IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_VERSION=\"25.0.1\"\n");
        let finding = java(&machine, false);
        assert_eq!((finding.state, finding.found.as_str()), (State::Found, "25.0.1"));
        assert!(finding.place.ends_with("temurin-25/bin/java"), "{finding:?}");
    }

    #[test]
    fn java_is_found_by_java_home_and_by_version_managers() {
        let (_keep, mut machine) = fake::machine();
        let home = machine.root.join("somewhere/jdk");
        fake::script(&home.join("bin/java"), "echo 'openjdk version \"23\" 2024-09-17' >&2");
        machine.variables.insert("JAVA_HOME".into(), home.clone().into());
        assert_eq!(java(&machine, false).found, "23");

        let (_keep, mut machine) = fake::machine();
        let user = machine.root.join("home/me");
        fake::script(&user.join(".sdkman/candidates/java/24-tem/bin/java"), "echo 'version \"24.0.2\"'");
        machine.variables.insert("HOME".into(), user.into());
        assert_eq!(java(&machine, false).found, "24.0.2");
    }

    #[test]
    fn the_webassembly_target_is_found_too_old_or_absent() {
        let (_keep, machine) = fake::machine();
        assert_eq!(wasm(&machine, false).state, State::Absent, "no compiler");
        let sysroot = machine.root.join("sysroot");
        let rustc = |version: &str| {
            let body = format!("[ \"$1\" = --print ] && echo {} || echo rustc {version}", sysroot.display());
            fake::script(&machine.path[0].join("rustc"), &body);
        };
        rustc("1.95.0");
        let finding = wasm(&machine, false);
        assert_eq!(finding.state, State::Absent, "no library");
        assert!(finding.advice.contains("rustup target add wasm32-unknown-unknown"));
        fake::file(&sysroot.join("lib/rustlib/wasm32-unknown-unknown/lib/libcore-1f.rlib"), "");
        assert_eq!(wasm(&machine, false).state, State::Found);
        rustc("1.80.1");
        assert_eq!(wasm(&machine, false).state, State::TooOld);
    }

    #[test]
    fn the_android_ndk_is_found_too_old_or_absent() {
        let (_keep, mut machine) = fake::machine();
        assert_eq!(android(&machine, false).state, State::Absent);
        let sdk = machine.root.join("sdk");
        machine.variables.insert("ANDROID_HOME".into(), sdk.clone().into());
        fake::file(&sdk.join("ndk/21.4/source.properties"), "Pkg.Desc = Android NDK\nPkg.Revision = 21.4.7075529\n");
        assert_eq!(android(&machine, false).state, State::TooOld);
        fake::file(&sdk.join("ndk/27.0/source.properties"), "Pkg.Desc = Android NDK\nPkg.Revision = 27.0.12077973\n");
        let finding = android(&machine, false);
        assert_eq!((finding.state, finding.found.as_str()), (State::Found, "27.0.12077973"));
    }
}
