//! The Python at hand: its torch, and pip.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::libtorch::{Libtorch, VERSION};

/// Prints the version and the folder of torch without importing it.
const FIND: &str = "
import importlib.metadata, importlib.util
spec = importlib.util.find_spec('torch')
print(importlib.metadata.version('torch'))
print(spec.submodule_search_locations[0])
";

/// Loads one library with all that it needs.
const LOAD: &str = "import ctypes, sys; ctypes.CDLL(sys.argv[1])";

pub(crate) struct Python {
    program: &'static str,
}

impl Python {
    /// That of the active virtual environment, or the system's.
    pub(crate) fn find() -> Option<Self> {
        let programs =
            if std::env::var_os("VIRTUAL_ENV").is_some() { ["python", "python3"] } else { ["python3", "python"] };
        let version = "import sys; sys.exit(sys.version_info < (3, 8))";
        let works = |program: &&str| {
            let mut command = Command::new(program);
            command.args(["-c", version]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        programs.into_iter().find(works).map(|program| Self { program })
    }

    /// The folder of its torch, if that is of the version wanted.
    pub(crate) fn installed_torch(&self) -> Option<PathBuf> {
        let output = self.command().args(["-c", FIND]).stderr(Stdio::null()).output().ok()?;
        matching(&String::from_utf8(output.stdout).ok()?)
    }

    /// Shows that the libraries can be loaded on this machine.
    pub(crate) fn load(&self, libtorch: &Libtorch, cuda: bool) -> anyhow::Result<()> {
        let library = libtorch.last_library(cuda);
        let output = self.command().args([OsStr::new("-c"), LOAD.as_ref(), library.as_ref()]).output()?;
        if output.status.success() {
            return Ok(());
        }
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("cannot load {}: {}", library.display(), told.lines().last().unwrap_or("no reason given"))
    }

    /// Installs the wheel into `dir`, with the NVIDIA packages that its CPU part links or, for a GPU, with all.
    pub(crate) fn install_torch(&self, dir: &Path, cuda: bool) -> anyhow::Result<()> {
        let pip = self.command().args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ensure!(pip.is_ok_and(|status| status.success()), "{} has no pip", self.program);
        eprintln!(
            "installing libtorch {VERSION} for all checkouts (a download of half a gigabyte, then a minute's unpacking)"
        );
        self.pip_install(dir, &["--no-deps".to_owned(), format!("torch=={VERSION}")])?;
        let metadata = dir.join(format!("torch-{VERSION}.dist-info/METADATA"));
        let metadata =
            std::fs::read_to_string(&metadata).with_context(|| format!("cannot read {}", metadata.display()))?;
        let needed = if cfg!(target_os = "linux") { nvidia_requirements(&metadata, cuda) } else { Vec::new() };
        if needed.is_empty() { Ok(()) } else { self.pip_install(dir, &needed) }
    }

    /// Installs packages of pinned versions into `dir`, and nothing that they need.
    pub(crate) fn install_packages(&self, dir: &Path, pins: &[String]) -> anyhow::Result<()> {
        let no_deps = ["--no-deps".to_owned()];
        self.pip_install(dir, &[no_deps.as_slice(), pins].concat())
    }

    fn pip_install(&self, dir: &Path, what: &[String]) -> anyhow::Result<()> {
        let options = ["--disable-pip-version-check", "--no-input", "--no-compile", "--only-binary=:all:"];
        let mut command = self.command();
        command.args(["-m", "pip", "install"]).args(options).arg("--target").arg(dir).args(what);
        // Standard output is for what the user asked for.
        let status = command.stdout(std::io::stderr()).status().context("cannot run pip")?;
        ensure!(status.success(), "pip install {} failed", what.join(" "));
        Ok(())
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.stdin(Stdio::null());
        command
    }
}

/// Reads what [`FIND`] printed.
fn matching(printed: &str) -> Option<PathBuf> {
    let (version, folder) = printed.trim_end().split_once('\n')?;
    (version.trim_end().split('+').next() == Some(VERSION)).then(|| PathBuf::from(folder))
}

/// The requirements of the wheel on NVIDIA's packages: all, or those that `libtorch_cpu.so` links.
fn nvidia_requirements(metadata: &str, cuda: bool) -> Vec<String> {
    let requirements = metadata.lines().filter_map(|line| line.strip_prefix("Requires-Dist: "));
    let unmarked = requirements.filter(|line| !line.contains("extra ==")).filter_map(|line| line.split(';').next());
    unmarked.filter_map(|requirement| narrow(requirement.trim(), cuda)).collect()
}

/// The part of a requirement that is wanted, if any: `cuda-toolkit` names the components as extras.
fn narrow(requirement: &str, cuda: bool) -> Option<String> {
    const FOR_CPU: [&str; 2] = ["nvidia-cuda-cupti", "nvidia-cuda-runtime"];
    if let Some(rest) = requirement.strip_prefix("cuda-toolkit[") {
        let (_, version) = rest.split_once(']')?;
        return Some(if cuda { requirement.to_owned() } else { format!("cuda-toolkit[cudart,cupti]{version}") });
    }
    let wanted = if cuda {
        requirement.starts_with("nvidia-")
    } else {
        FOR_CPU.iter().any(|name| requirement.starts_with(name))
    };
    wanted.then(|| requirement.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "Name: torch\n\
        Requires-Dist: filelock\n\
        Requires-Dist: cuda-toolkit[cublas,cudart,cupti]==13.0.2; platform_system == \"Linux\"\n\
        Requires-Dist: cuda-bindings<14,>=13.0.3; platform_system == \"Linux\"\n\
        Requires-Dist: nvidia-cudnn-cu13==9.19.0.56; platform_system == \"Linux\"\n\
        Requires-Dist: triton==3.6.0; platform_system == \"Linux\"\n\
        Requires-Dist: pyyaml; extra == \"pyyaml\"\n";

    #[test]
    fn the_cpu_needs_two_components_of_the_toolkit() {
        assert_eq!(nvidia_requirements(METADATA, false), ["cuda-toolkit[cudart,cupti]==13.0.2"]);
    }

    #[test]
    fn a_gpu_needs_the_whole_toolkit_and_the_libraries_beside_it() {
        let all = ["cuda-toolkit[cublas,cudart,cupti]==13.0.2", "nvidia-cudnn-cu13==9.19.0.56"];
        assert_eq!(nvidia_requirements(METADATA, true), all);
    }

    #[test]
    fn a_wheel_that_names_the_packages_itself_is_understood() {
        let older = "Requires-Dist: nvidia-cuda-runtime-cu12==12.8.90\nRequires-Dist: nvidia-nccl-cu12==2.27.5\n";
        assert_eq!(nvidia_requirements(older, false), ["nvidia-cuda-runtime-cu12==12.8.90"]);
    }

    #[test]
    fn only_the_version_wanted_matches_whatever_it_was_built_for() {
        assert_eq!(matching("2.11.0+cu130\n/a b/torch\n"), Some("/a b/torch".into()));
        assert_eq!(matching("2.11.0\n/a/torch\n"), Some("/a/torch".into()));
        assert_eq!(matching("2.11.1\n/a/torch\n"), None);
        assert_eq!(matching(""), None);
    }
}
