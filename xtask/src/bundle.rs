//! The benchmarks and the demonstration as one archive, for a machine without Rust.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::cargo;
use crate::libtorch::Libtorch;

/// The folder that the archive unpacks to.
const FOLDER: &str = "pruner-bench";
/// The programs in it.
const PROGRAMS: [&str; 3] = ["demo", "gpu", "skip"];
const LAUNCHER: &[u8] = include_bytes!("../launcher/run.sh");
const DATA: &str = "data/fashion-mnist";
const LIMIT_BYTES: u64 = 64 << 20;

/// Builds the programs, packs them as `out` and returns the size of that in bytes.
pub(crate) fn pack(root: &Path, libtorch: &Libtorch, out: &Path) -> anyhow::Result<u64> {
    let build = ["build", "--package", "pruner-bench", "--bins"];
    let status = cargo::command(root, libtorch).args(build).status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo {} failed", build.join(" "));
    let work = tempfile::tempdir().context("no temporary folder")?;
    for program in PROGRAMS {
        strip(&cargo::built(program)?, &work.path().join(program))?;
    }

    if let Some(parent) = out.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot write {}", parent.display()))?;
    }
    write(root, work.path(), out).with_context(|| format!("cannot write {}", out.display()))?;
    let bytes = fs::metadata(out)?.len();
    ensure!(bytes < LIMIT_BYTES, "{} has {bytes} bytes, more than the {LIMIT_BYTES} allowed", out.display());
    Ok(bytes)
}

/// Unpacks the archive and runs it on the CPU as another machine would: with a Python's libtorch and nothing else.
pub(crate) fn check(archive: &Path, libtorch: &Libtorch, args: &[String]) -> anyhow::Result<ExitCode> {
    let site = libtorch.dir().parent().filter(|dir| is_site(dir));
    let site =
        site.with_context(|| format!("{} is not a Python's, so it cannot run the bundle", libtorch.dir().display()))?;
    let work = tempfile::tempdir().context("no temporary folder")?;
    tar::Archive::new(GzDecoder::new(File::open(archive)?))
        .unpack(work.path())
        .with_context(|| format!("cannot unpack {}", archive.display()))?;
    let folder = work.path().join(FOLDER);
    let mut command = Command::new(folder.join("run.sh"));
    command.args(["--device", "cpu"]).args(args).current_dir(work.path());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("PYTHONPATH", site);
    cargo::run(&mut command)
}

fn strip(from: &Path, to: &Path) -> anyhow::Result<()> {
    let status = Command::new("strip").arg("-o").args([to, from]).status();
    let status = status.context("no strip here: install binutils, which comes with a C++ compiler")?;
    ensure!(status.success(), "strip {} failed", from.display());
    Ok(())
}

/// Members are added in a fixed order, the data's by name.
fn write(root: &Path, programs: &Path, out: &Path) -> anyhow::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(File::create(out)?, Compression::best()));
    archive.mode(tar::HeaderMode::Deterministic);
    for program in PROGRAMS {
        archive.append_path_with_name(programs.join(program), format!("{FOLDER}/bin/{program}"))?;
    }
    let mut header = tar::Header::new_gnu();
    header.set_size(LAUNCHER.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    archive.append_data(&mut header, format!("{FOLDER}/run.sh"), LAUNCHER)?;
    let mut data = fs::read_dir(root.join(DATA))?.collect::<Result<Vec<_>, _>>()?;
    data.sort_by_key(fs::DirEntry::file_name);
    for entry in data {
        let name = Path::new(FOLDER).join(DATA).join(entry.file_name());
        archive.append_path_with_name(entry.path(), name)?;
    }
    archive.into_inner()?.finish()?;
    Ok(())
}

/// Whether a folder is one that Python finds packages in: what it knows of torch lies beside it.
fn is_site(dir: &Path) -> bool {
    dir.join(format!("torch-{}.dist-info", crate::libtorch::VERSION)).is_dir()
}
