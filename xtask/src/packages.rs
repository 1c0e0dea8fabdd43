//! A Python with PyTorch, for tests and comparisons: the one at hand, or packages in the cache that checkouts share.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::cache::Cache;
use crate::libtorch::{Libtorch, VERSION};
use crate::python::Python;

/// Says which of the pinned packages is missing or of another version; importing torch shows that its libraries load.
const CHECK: &str = "
import importlib.metadata, sys
import torch
for pin in sys.argv[1:]:
    name, version = pin.split('==')
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found = 'missing'
    if found.split('+')[0] != version:
        sys.exit(f'{name} is {found}, not {version}')
";

const PROGRAM: &str = "import sys; print(sys.executable); print('%d.%d' % sys.version_info[:2])";

/// What Python is wanted for; each set holds those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Set {
    /// The tests that go through PyTorch.
    Test,
    /// The zoo.
    Zoo,
    /// The table of quality: Torch-Pruning and the sentence encoder.
    Quality,
}

impl Set {
    /// The set and those that it holds, the smallest first.
    fn held(self) -> impl Iterator<Item = Self> {
        [Self::Test, Self::Zoo, Self::Quality].into_iter().filter(move |&each| each <= self)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Zoo => "zoo",
            Self::Quality => "quality",
        }
    }

    fn requirements(self) -> &'static str {
        match self {
            Self::Test => include_str!("../python/test.txt"),
            Self::Zoo => include_str!("../python/zoo.txt"),
            Self::Quality => include_str!("../python/quality.txt"),
        }
    }
}

/// What the torch wheel loads on this system beside what `cargo xtask setup` brings for the CPU.
const SYSTEM: &str = if cfg!(target_os = "linux") { include_str!("../python/linux.txt") } else { "" };

/// A Python program and where it finds packages beside its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) program: PathBuf,
    pub(crate) path: Vec<PathBuf>,
}

impl Environment {
    /// The Python at hand with the packages of a set: its own where all are there, those of the cache otherwise.
    pub(crate) fn provide(set: Set, libtorch: &Libtorch) -> anyhow::Result<Self> {
        let python = Python::find().context("there is no python3: install Python 3.11 or later, with pip")?;
        let output = python.command().args(["-c", PROGRAM]).output().context("cannot run python3")?;
        let printed = String::from_utf8(output.stdout).context("the path of python3 is not UTF-8")?;
        let (program, version) = printed.trim_end().split_once('\n').context("python3 does not say where it is")?;
        let own = Self { program: program.into(), path: Vec::new() };
        if own.check(set).is_ok() {
            return Ok(own);
        }
        ensure!(
            version_at_least(version, 11),
            "{program} is Python {version}; the packages of `{}` need 3.11 or later",
            set.name()
        );
        let site = libtorch.dir().parent().filter(|dir| dir.join(format!("torch-{VERSION}.dist-info")).is_dir());
        let Some(site) = site else {
            bail!(
                "the libtorch in {} is not part of a PyTorch, which Python needs: unset LIBTORCH, delete \
                 .cargo/libtorch.toml and run this again",
                libtorch.dir().display()
            )
        };
        let cache = Cache::find()?;
        let mut environment = Self { program: program.into(), path: vec![site.to_owned()] };
        for set in set.held() {
            let requirements = requirements(set);
            let dir = cache.provide(&entry(set, version, &requirements), |dir| {
                eprintln!("installing the Python packages of `{}` for all checkouts", set.name());
                python.install_packages(dir, &requirements)?;
                let mut whole = environment.clone();
                whole.path.insert(0, dir.to_owned());
                whole.check(set)
            })?;
            environment.path.insert(0, dir);
        }
        Ok(environment)
    }

    /// The program, so that it finds the packages.
    pub(crate) fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        command.stdin(Stdio::null()).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", self.joined()?);
        Ok(command)
    }

    /// The folders as `PYTHONPATH` has them.
    pub(crate) fn joined(&self) -> anyhow::Result<OsString> {
        std::env::join_paths(&self.path).context("a folder of packages has a colon in its path")
    }

    /// Whether every package of the set and of those before it is there in the version that is pinned.
    fn check(&self, set: Set) -> anyhow::Result<()> {
        let pins = set.held().flat_map(|set| pins(set.requirements()));
        let output = self.command()?.args(["-c", CHECK]).arg(format!("torch=={VERSION}")).args(pins).output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", told.lines().last().unwrap_or("no reason given"));
        Ok(())
    }
}

/// The lines of a file of requirements that name a package.
fn pins(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

fn requirements(set: Set) -> Vec<String> {
    let system = if set == Set::Test { SYSTEM } else { "" };
    pins(set.requirements()).chain(pins(system)).map(str::to_owned).collect()
}

/// The name of an entry of the cache says what is in it, so that checkouts with other pins do not meet.
fn entry(set: Set, version: &str, requirements: &[String]) -> String {
    let mut name = format!("python-{}-{version}-", set.name());
    for byte in &Sha256::digest(requirements.join("\n"))[..4] {
        write!(name, "{byte:02x}").expect("a string takes all");
    }
    name
}

fn version_at_least(version: &str, minor: u32) -> bool {
    version.strip_prefix("3.").and_then(|found| found.parse::<u32>().ok()).is_some_and(|found| found >= minor)
}

/// Where a checkout keeps it: cargo includes the file and hands the variables to tests.
pub(crate) fn record(root: &Path, environment: &Environment) -> anyhow::Result<()> {
    let text = text_for(&environment.program, &environment.joined()?)?;
    let file = root.join(".cargo/python.toml");
    if std::fs::read_to_string(&file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn text_for(program: &Path, path: &OsString) -> anyhow::Result<String> {
    let (program, path) = (program.to_str(), path.to_str());
    let (program, path) = program.zip(path).context("the path of Python or of its packages is not UTF-8")?;
    let plain = |text: &str| !text.chars().any(|c| c.is_control() || c == '\'');
    ensure!(plain(program) && plain(path), "the path of Python, {program}, or of its packages, {path}, has quotes");
    Ok(format!(
        "# Written by `cargo xtask setup --python`.\n[env]\nPRUNER_PYTHON = '{program}'\nPRUNER_PYTHONPATH = '{path}'\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned_and_in_one_set_only() {
        let mut names = Vec::new();
        for pin in Set::Quality.held().flat_map(|set| pins(set.requirements())).chain(pins(SYSTEM)) {
            let (name, version) = pin.split_once("==").expect(pin);
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{pin}");
            names.push(name);
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn other_pins_are_another_entry() {
        let (one, other) = (["a==1".to_owned()], ["a==2".to_owned()]);
        assert_ne!(entry(Set::Test, "3.11", &one), entry(Set::Test, "3.11", &other));
        assert!(entry(Set::Zoo, "3.12", &one).starts_with("python-zoo-3.12-"));
    }

    #[test]
    fn a_python_that_is_too_old_is_told_apart() {
        assert!(version_at_least("3.11", 11) && version_at_least("3.14", 11));
        assert!(!version_at_least("3.9", 11));
    }

    #[test]
    fn a_path_with_quotes_is_refused() {
        text_for(Path::new("/it's/python"), &OsString::new()).expect_err("it has a quote");
        let text = text_for(Path::new("/usr/bin/python3"), &"/a:/b".into()).expect("it is plain");
        assert!(text.ends_with("PRUNER_PYTHON = '/usr/bin/python3'\nPRUNER_PYTHONPATH = '/a:/b'\n"), "{text}");
    }
}
