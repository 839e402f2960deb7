//! The checks of memory: the folder of shared heaps and its room, address space, overcommitment, a container's limit.

use std::path::Path;

use super::machine::Machine;
use super::{Finding, Group, State};
use crate::human::size;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Under this much free room no useful heap can be made.
const LEAST_ROOM: u64 = MIB;
/// What containers give if nothing is asked for.
const CONTAINER_DEFAULT: u64 = 64 * MIB;
/// Under this much free room, or memory, tables of the usual sizes will not fit.
const LITTLE: u64 = 256 * MIB;
/// The address space that a heap reserves where it can (H5), and the least that is of any use.
const RESERVED: u64 = 64 * GIB;
const LEAST_SPACE: u64 = GIB;

fn finding(name: &str, state: State, found: String, advice: impl Into<String>) -> Finding {
    Finding {
        group: Group::Memory,
        name: name.into(),
        state,
        needed: true,
        ok: matches!(state, State::Found | State::Low),
        found,
        wanted: String::new(),
        place: String::new(),
        advice: advice.into(),
    }
}

/// The folder of shared heaps: a real folder, the user's own, closed to others (H4).
#[cfg(unix)]
pub fn folder(machine: &Machine) -> Finding {
    use std::os::unix::fs::MetadataExt;

    let folder = &machine.folder;
    let place = folder.display().to_string();
    let elsewhere = "or set WEAVEHEAP_DIR to a folder of your own";
    let mut finding = match folder.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return absent(machine),
        Err(error) => finding("folder", State::Wrong, error.to_string(), format!("Make it readable, {elsewhere}.")),
        Ok(found) if found.is_symlink() => {
            finding("folder", State::Wrong, "a link".into(), format!("Replace the link by a folder, {elsewhere}."))
        }
        Ok(found) if !found.is_dir() => {
            finding("folder", State::Wrong, "not a folder".into(), format!("Move the file away, {elsewhere}."))
        }
        Ok(found) if found.uid() != machine.user => {
            let owner = format!("owner is user {}, you are user {}", found.uid(), machine.user);
            finding("folder", State::Wrong, owner, format!("Run as its owner, {elsewhere}."))
        }
        Ok(found) if found.mode() & 0o777 != 0o700 => {
            let mode = format!("mode {:04o}, not 0700", found.mode() & 0o777);
            finding("folder", State::Wrong, mode, format!("Run `chmod 700 {place}`."))
        }
        Ok(_) => match usable(folder) {
            Ok(()) => finding("folder", State::Found, "yours, mode 0700".into(), ""),
            Err(why) => finding("folder", State::Wrong, why, format!("Make it writable, {elsewhere}.")),
        },
    };
    finding.place = place;
    finding
}

#[cfg(not(unix))]
pub fn folder(machine: &Machine) -> Finding {
    let mut finding = if machine.folder.is_dir() {
        finding("folder", State::Found, "a folder".into(), "")
    } else {
        finding("folder", State::Found, "not there yet".into(), "The first heap makes it.")
    };
    finding.place = machine.folder.display().to_string();
    finding
}

/// A folder that is not there is well if the first heap can make it.
#[cfg(unix)]
fn absent(machine: &Machine) -> Finding {
    let parent = machine.folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut finding = match usable(parent) {
        Ok(()) => {
            let mut well = finding("folder", State::Absent, "not there yet".into(), "The first heap makes it.");
            well.ok = true;
            well
        }
        Err(why) => finding(
            "folder",
            State::Absent,
            format!("cannot be made: {} {why}", parent.display()),
            "Mount a tmpfs there, or set WEAVEHEAP_DIR to a folder of your own.",
        ),
    };
    finding.place = machine.folder.display().to_string();
    finding
}

/// Whether files can be made in a folder, by the user as by the mount.
#[cfg(unix)]
fn usable(folder: &Path) -> Result<(), String> {
    if !folder.is_dir() {
        return Err("does not exist".into());
    }
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(|error| format!("is not writable ({})", std::io::Error::from(error)))
}

/// How much the folder can take, on what sort of file system, and what to set where it is little.
pub fn room(machine: &Machine) -> Finding {
    let Some(room) = &machine.room else {
        return finding("room", State::Found, "not known on this system".into(), "");
    };
    let kind = if room.kind.is_empty() { String::new() } else { format!(" on {}", room.kind) };
    let found = if room.total == 0 {
        format!("without bound{kind}")
    } else {
        format!("{} free of {}{kind}", size(room.free), size(room.total))
    };
    let bounded = room.total > 0;
    let more = if in_container(machine) {
        "Give the container more: `--shm-size=2g` (docker run, podman run), `shm_size: 2gb` (Compose), or an emptyDir of \
         `medium: Memory` on /dev/shm (Kubernetes)."
    } else if room.kind == "tmpfs" {
        "Give it more: `mount -o remount,size=8G /dev/shm`; in a container `--shm-size=2g`. `weaveheap list` shows what \
         takes it."
    } else {
        "Free room there, or set WEAVEHEAP_DIR to a folder with more."
    };
    if bounded && room.free < LEAST_ROOM {
        let mut full = finding("room", State::Low, found, more);
        full.ok = false;
        full
    } else if bounded && (room.total <= CONTAINER_DEFAULT || room.free < LITTLE) {
        finding("room", State::Low, found, more)
    } else if matches!(room.kind.as_str(), "" | "tmpfs" | "ramfs") {
        finding("room", State::Found, found, "")
    } else {
        finding("room", State::Found, found, "Heaps there are written to disk: a folder on tmpfs is faster.")
    }
}

/// The limit on address space (RLIMIT_AS): a heap reserves 64 GiB once, or what it can get.
pub fn address_space(machine: &Machine) -> Finding {
    let advice = "Lift it: `ulimit -v unlimited`, LimitAS=infinity (systemd). A heap reserves 64 GiB of addresses, not of \
                  memory; under a limit it gets less.";
    match machine.address_space {
        None => finding("address space", State::Found, "no limit".into(), ""),
        Some(limit) => {
            let mut finding = finding("address space", State::Low, format!("limited to {}", size(limit)), advice);
            if limit >= 4 * RESERVED {
                finding.state = State::Found;
                finding.advice.clear();
            }
            finding.ok = limit >= LEAST_SPACE;
            finding
        }
    }
}

/// Strict accounting (`vm.overcommit_memory` 2) counts reserved private addresses as if they were used.
pub fn overcommit(machine: &Machine) -> Option<Finding> {
    let mode = machine.read("/proc/sys/vm/overcommit_memory")?;
    Some(match mode.trim() {
        "2" => finding(
            "overcommitment",
            State::Low,
            "strict (vm.overcommit_memory = 2)".into(),
            "Private heaps get less than 64 GiB. Set a limit when you make them, or run `sysctl vm.overcommit_memory=0`.",
        ),
        _ => finding("overcommitment", State::Found, "allowed".into(), ""),
    })
}

/// The memory that this process's control group may use: shared memory counts, and passing the limit kills.
pub fn memory_limit(machine: &Machine) -> Option<Finding> {
    // Where there are no control groups, nothing limits.
    machine.read("/proc/self/cgroup")?;
    let Some((limit, used)) = tightest(machine) else {
        return Some(finding("memory limit", State::Found, "none".into(), ""));
    };
    let found = format!("{}, {} used", size(limit), size(used));
    let folder = machine.room.as_ref().filter(|room| room.total > 0).map(|room| room.total);
    let left = limit.saturating_sub(used);
    let finding = if left < LITTLE {
        let advice = "Give the container more memory: `--memory=4g` (docker, podman), resources.limits.memory (Kubernetes). \
                      Shared memory counts, and passing the limit kills.";
        finding("memory limit", State::Low, found, advice)
    } else if folder.is_some_and(|folder| folder > limit) {
        let advice = "The folder promises more than the limit allows. Shared memory counts, and passing the limit kills \
                      the process instead of giving OutOfMemory: keep --shm-size below --memory.";
        finding("memory limit", State::Low, found, advice)
    } else {
        finding("memory limit", State::Found, found, "")
    };
    Some(finding)
}

/// The smallest limit from this process's group up to the root, with what that group uses; versions 2 and 1.
fn tightest(machine: &Machine) -> Option<(u64, u64)> {
    // Version 1 writes "no limit" as the greatest number of whole pages.
    const UNLIMITED: u64 = 1 << 60;
    let groups = machine.read("/proc/self/cgroup")?;
    let mut tightest: Option<(u64, u64)> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (base, limit, used) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max", "memory.current")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
        } else {
            continue;
        };
        // In a container the path may be the host's and not be there: the groups above it are.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let file = |name: &str| machine.read(&format!("{base}/{}/{name}", group.display()));
            let Some(bytes) = file(limit).and_then(|text| text.trim().parse::<u64>().ok()) else { continue };
            if bytes < UNLIMITED && tightest.is_none_or(|(least, _)| bytes < least) {
                let used = file(used).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
                tightest = Some((bytes, used));
            }
        }
    }
    tightest
}

fn in_container(machine: &Machine) -> bool {
    machine.at("/.dockerenv").exists()
        || machine.at("/run/.containerenv").exists()
        || machine.variables.contains_key("KUBERNETES_SERVICE_HOST")
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::machine::{Room, fake};
    use super::*;

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn with_folder(machine: &Machine) {
        std::fs::create_dir_all(&machine.folder).unwrap();
        chmod(&machine.folder, 0o700);
    }

    #[test]
    fn a_folder_of_ones_own_is_found() {
        let (_keep, machine) = fake::machine();
        with_folder(&machine);
        let finding = folder(&machine);
        assert_eq!((finding.state, finding.ok), (State::Found, true), "{finding:?}");
        assert_eq!(finding.place, machine.folder.display().to_string());
    }

    #[test]
    fn a_folder_to_come_is_well_where_it_can_be_made() {
        let (_keep, machine) = fake::machine();
        let finding = folder(&machine);
        assert_eq!((finding.state, finding.ok), (State::Absent, false), "nothing above it: {finding:?}");
        std::fs::create_dir_all(machine.folder.parent().unwrap()).unwrap();
        let finding = folder(&machine);
        assert_eq!((finding.state, finding.ok), (State::Absent, true), "{finding:?}");
        assert!(finding.advice.contains("first heap makes it"));
    }

    #[test]
    fn a_link_a_file_an_open_mode_and_a_foreign_owner_are_wrong() {
        let (_keep, mut machine) = fake::machine();
        with_folder(&machine);
        chmod(&machine.folder, 0o755);
        let finding = folder(&machine);
        assert_eq!((finding.state, finding.ok), (State::Wrong, false));
        assert!(finding.found.contains("0755") && finding.advice.contains("chmod 700"), "{finding:?}");

        chmod(&machine.folder, 0o700);
        machine.user += 1;
        let finding = folder(&machine);
        assert!(finding.state == State::Wrong && finding.found.contains("owner"), "{finding:?}");
        machine.user -= 1;

        let real = machine.folder.clone();
        machine.folder = machine.root.join("link");
        std::os::unix::fs::symlink(&real, &machine.folder).unwrap();
        assert_eq!(folder(&machine).found, "a link");
        machine.folder = machine.root.join("file");
        fake::file(&machine.folder, "");
        assert_eq!(folder(&machine).found, "not a folder");
    }

    fn room_of(machine: &mut Machine, free: u64, total: u64, kind: &str) -> Finding {
        machine.room = Some(Room { total, free, kind: kind.into() });
        room(machine)
    }

    #[test]
    fn room_is_enough_little_or_missing() {
        let (_keep, mut machine) = fake::machine();
        let finding = room_of(&mut machine, 20 * GIB, 24 * GIB, "tmpfs");
        assert_eq!((finding.state, finding.found.as_str()), (State::Found, "20.0 GiB free of 24.0 GiB on tmpfs"));
        let finding = room_of(&mut machine, 64 * MIB, 64 * MIB, "tmpfs");
        assert_eq!((finding.state, finding.ok), (State::Low, true));
        assert!(finding.advice.contains("--shm-size"), "{finding:?}");
        let finding = room_of(&mut machine, 4096, 64 * MIB, "tmpfs");
        assert_eq!((finding.state, finding.ok), (State::Low, false), "a full folder is not well");
        let finding = room_of(&mut machine, 0, 0, "tmpfs");
        assert_eq!((finding.state, finding.found.as_str()), (State::Found, "without bound on tmpfs"));
        assert!(room_of(&mut machine, 20 * GIB, 24 * GIB, "ext4").advice.contains("disk"));
    }

    #[test]
    fn in_a_container_the_advice_is_the_containers() {
        let (_keep, mut machine) = fake::machine();
        fake::file(&machine.root.join(".dockerenv"), "");
        let finding = room_of(&mut machine, 60 * MIB, 64 * MIB, "tmpfs");
        assert!(finding.advice.contains("docker run") && finding.advice.contains("Kubernetes"), "{finding:?}");
    }

    #[test]
    fn address_space_is_free_limited_or_too_little() {
        let (_keep, mut machine) = fake::machine();
        assert_eq!(address_space(&machine).found, "no limit");
        machine.address_space = Some(8 * GIB);
        let finding = address_space(&machine);
        assert_eq!((finding.state, finding.ok), (State::Low, true));
        assert!(finding.advice.contains("ulimit -v unlimited"));
        machine.address_space = Some(512 * MIB);
        assert!(!address_space(&machine).ok);
        machine.address_space = Some(1 << 46);
        assert_eq!(address_space(&machine).state, State::Found);
    }

    #[test]
    fn the_tightest_group_of_version_two_counts() {
        let (_keep, mut machine) = fake::machine();
        assert!(memory_limit(&machine).is_none(), "no control groups");
        let group = |path: &str, text: &str| fake::file(&machine.at(&format!("/sys/fs/cgroup/{path}")), text);
        fake::file(&machine.at("/proc/self/cgroup"), "0::/a/b\n");
        assert_eq!(memory_limit(&machine).unwrap().found, "none");
        group("a/b/memory.max", "max\n");
        group("a/memory.max", "2147483648\n");
        group("a/memory.current", "1073741824\n");
        let finding = memory_limit(&machine).unwrap();
        assert_eq!((finding.state, finding.found.as_str()), (State::Found, "2.00 GiB, 1.00 GiB used"));
        group("a/memory.current", "2147480000\n");
        assert_eq!(memory_limit(&machine).unwrap().state, State::Low);
        group("a/memory.current", "0\n");
        machine.room = Some(Room { total: 4 * GIB, free: 4 * GIB, kind: "tmpfs".into() });
        let finding = memory_limit(&machine).unwrap();
        assert!(finding.state == State::Low && finding.advice.contains("--memory"), "{finding:?}");
    }

    #[test]
    fn version_one_has_its_own_files_and_its_own_unlimited() {
        let (_keep, machine) = fake::machine();
        fake::file(&machine.at("/proc/self/cgroup"), "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n");
        fake::file(&machine.at("/sys/fs/cgroup/memory/memory.limit_in_bytes"), "9223372036854771712\n");
        assert_eq!(memory_limit(&machine).unwrap().found, "none");
        fake::file(&machine.at("/sys/fs/cgroup/memory/memory.limit_in_bytes"), "536870912\n");
        assert!(memory_limit(&machine).unwrap().found.starts_with("512 MiB"));
    }

    #[test]
    fn strict_overcommitment_is_pointed_out() {
        let (_keep, machine) = fake::machine();
        assert!(overcommit(&machine).is_none());
        fake::file(&machine.at("/proc/sys/vm/overcommit_memory"), "0\n");
        assert_eq!(overcommit(&machine).unwrap().state, State::Found);
        fake::file(&machine.at("/proc/sys/vm/overcommit_memory"), "2\n");
        assert_eq!(overcommit(&machine).unwrap().state, State::Low);
    }
}
