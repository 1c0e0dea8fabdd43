//! A libtorch on disk: its version and whether it is whole.

use std::env::consts::DLL_SUFFIX;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// The version that `tch` 0.24 binds.
pub(crate) const VERSION: &str = "2.11.0";

/// A directory with `lib` and `include`, checked when it was opened.
#[derive(Debug)]
pub(crate) struct Libtorch {
    dir: PathBuf,
}

impl Libtorch {
    /// Checks that `dir` holds the version wanted, with headers and libraries.
    pub(crate) fn open(dir: &Path, cuda: bool) -> anyhow::Result<Self> {
        let header = dir.join("include/torch/headeronly/version.h");
        let text = std::fs::read_to_string(&header).with_context(|| {
            format!("{} is no libtorch {VERSION} with headers: no {}", dir.display(), header.display())
        })?;
        let version =
            version_in(&text).with_context(|| format!("{} names no TORCH_VERSION_MAJOR", header.display()))?;
        ensure!(version == VERSION, "{} is libtorch {version}, not {VERSION}", dir.display());
        let libraries = ["torch", "torch_cpu", "c10"].map(|name| format!("lib/lib{name}{DLL_SUFFIX}"));
        let files = libraries.iter().map(String::as_str).chain(["include/torch/csrc/api/include/torch/torch.h"]);
        for file in files {
            ensure!(dir.join(file).is_file(), "{} lacks {file}", dir.display());
        }
        let libtorch = Self { dir: dir.to_owned() };
        if cuda && !libtorch.cuda_library().is_file() {
            bail!("{} is built for the CPU only", dir.display());
        }
        Ok(libtorch)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn lib(&self) -> PathBuf {
        self.dir.join("lib")
    }

    /// The library whose loading shows that all the others are there.
    pub(crate) fn last_library(&self, cuda: bool) -> PathBuf {
        if cuda { self.cuda_library() } else { self.lib().join(format!("libtorch_cpu{DLL_SUFFIX}")) }
    }

    fn cuda_library(&self) -> PathBuf {
        self.lib().join(format!("libtorch_cuda{DLL_SUFFIX}"))
    }
}

/// Reads the version from the text of `version.h`.
fn version_in(header: &str) -> Option<String> {
    let part = |name: &str| {
        let mut words = header.lines().filter_map(|line| line.strip_prefix("#define TORCH_VERSION_"));
        words.find_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok())
    };
    Some(format!("{}.{}.{}", part("MAJOR ")?, part("MINOR ")?, part("PATCH ")?))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    pub(crate) const HEADER: &str = "#pragma once\n\n#define TORCH_VERSION_MAJOR 2\n\n/// Minor.\n\
        #define TORCH_VERSION_MINOR 11\n#define TORCH_VERSION_PATCH 0\n#define TORCH_VERSION \\\n  \"2.11.0\"\n";

    /// The paths of the least that passes for a libtorch, with their texts.
    pub(crate) fn least() -> Vec<(String, String)> {
        let mut files = vec![
            ("include/torch/headeronly/version.h".to_owned(), HEADER.to_owned()),
            ("include/torch/csrc/api/include/torch/torch.h".to_owned(), "#pragma once".to_owned()),
        ];
        files.extend(["torch", "torch_cpu", "c10"].map(|name| (format!("lib/lib{name}{DLL_SUFFIX}"), name.to_owned())));
        files
    }

    pub(crate) fn write_least(dir: &Path) {
        for (path, text) in least() {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("a file lies in a folder"))
                .expect("a temporary folder is writable");
            fs::write(path, text).expect("a temporary folder is writable");
        }
    }

    #[test]
    fn the_version_is_read_from_the_header() {
        assert_eq!(version_in(HEADER).as_deref(), Some("2.11.0"));
        assert_eq!(version_in("#define TORCH_VERSION_MAJOR 2\n"), None);
    }

    #[test]
    fn a_whole_libtorch_opens_and_one_without_a_library_does_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        write_least(dir.path());
        Libtorch::open(dir.path(), false).expect("it is whole");
        let error = Libtorch::open(dir.path(), true).expect_err("it has no CUDA");
        assert!(error.to_string().ends_with("is built for the CPU only"), "{error}");
        fs::remove_file(dir.path().join(format!("lib/libc10{DLL_SUFFIX}"))).expect("it was written");
        let error = Libtorch::open(dir.path(), false).expect_err("it is damaged");
        assert!(error.to_string().contains("lacks lib/libc10"), "{error}");
    }

    #[test]
    fn another_version_is_named() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        write_least(dir.path());
        let header = dir.path().join("include/torch/headeronly/version.h");
        fs::write(header, HEADER.replace("MINOR 11", "MINOR 10")).expect("a temporary folder is writable");
        let error = Libtorch::open(dir.path(), false).expect_err("it is another version");
        assert!(error.to_string().ends_with("is libtorch 2.10.0, not 2.11.0"), "{error}");
    }
}
