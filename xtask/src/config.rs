//! `.cargo/libtorch.toml`, which the checked-in `.cargo/config.toml` includes: with it plain cargo finds libtorch.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::libtorch::Libtorch;

/// The directory that the checkout uses, if it was set up.
pub(crate) fn read(root: &Path) -> Option<PathBuf> {
    libtorch_in(&std::fs::read_to_string(file(root)).ok()?)
}

/// Points the checkout at `libtorch`; leaves the file alone when it already does, since cargo builds anew for its flags.
pub(crate) fn write(root: &Path, libtorch: &Libtorch) -> anyhow::Result<()> {
    let (file, text) = (file(root), text_for(libtorch.dir())?);
    if std::fs::read_to_string(&file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn file(root: &Path) -> PathBuf {
    root.join(".cargo/libtorch.toml")
}

/// The path of the libraries goes into each binary, since cargo itself sets `LD_LIBRARY_PATH` for what it runs and
/// passes over that of `[env]`.
fn text_for(dir: &Path) -> anyhow::Result<String> {
    let path = dir.to_str().with_context(|| format!("the path {} is not UTF-8", dir.display()))?;
    let plain = |c: char| !c.is_control() && !['\'', ',', ':', '$'].contains(&c);
    ensure!(dir.is_absolute(), "LIBTORCH has to be an absolute path, not {path}");
    ensure!(
        path.chars().all(plain),
        "libtorch lies in {path}: the linker needs a path without quotes, commas, colons or dollars"
    );
    Ok(format!(
        "# Written by `cargo xtask setup`. To look for libtorch anew, delete this file and run that again.\n\
         [env]\n\
         LIBTORCH = '{path}'\n\
         \n\
         [target.'cfg(unix)']\n\
         rustflags = ['-Clink-arg=-Wl,-rpath,{path}/lib']\n\
         \n\
         [build]\n\
         rustdocflags = ['-Clink-arg=-Wl,-rpath,{path}/lib']\n"
    ))
}

fn libtorch_in(text: &str) -> Option<PathBuf> {
    let quoted = text.lines().find_map(|line| line.strip_prefix("LIBTORCH = "))?;
    quoted.strip_prefix('\'')?.strip_suffix('\'').map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = Path::new("/opt/with space/torch");
        assert_eq!(libtorch_in(&text_for(dir).expect("it is plain")).as_deref(), Some(dir));
    }

    #[test]
    fn a_path_that_the_linker_would_split_is_refused() {
        for dir in ["/opt/a,b", "/opt/it's", "relative/torch"] {
            text_for(Path::new(dir)).expect_err(dir);
        }
    }
}
