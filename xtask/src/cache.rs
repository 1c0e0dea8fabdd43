//! The folder that checkouts share: what it provides is whole or not there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// Lists every file with its size; written last, so an entry without it was never finished.
const MANIFEST: &str = "manifest.txt";

pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `pruner` in `XDG_CACHE_HOME`, which is `~/.cache` when unset.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        let home = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
        let root = home.context("neither XDG_CACHE_HOME nor HOME is set: no place for the cache")?.join("pruner");
        Ok(Self { root })
    }

    /// The entry of this name, if it is there and whole.
    pub(crate) fn get(&self, name: &str) -> Option<PathBuf> {
        let dir = self.root.join(name);
        verify(&dir).is_ok().then_some(dir)
    }

    /// The entry of this name, which `fill` makes in a folder of its own when it is missing or damaged. Others that want
    /// it at the same time wait.
    pub(crate) fn provide(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(&self.root).with_context(|| {
            format!("cannot write {}: set XDG_CACHE_HOME to a folder that you own", self.root.display())
        })?;
        let _lock = self.lock(name)?;
        let dir = self.root.join(name);
        if dir.exists() {
            match verify(&dir) {
                Ok(()) => return Ok(dir),
                Err(error) => eprintln!("making it anew: {error:#}"),
            }
        }
        // Its name is fixed, so that what a killed run left is cleared by the next.
        let unfinished = self.root.join(format!("{name}.unfinished"));
        for stale in [&unfinished, &dir] {
            if stale.exists() {
                fs::remove_dir_all(stale).with_context(|| format!("cannot remove {}", stale.display()))?;
            }
        }
        let made = fs::create_dir(&unfinished).map_err(anyhow::Error::from).and_then(|()| fill(&unfinished));
        let made = made.and_then(|()| write_manifest(&unfinished));
        if let Err(error) = made {
            // The first error is the one to tell.
            let _ = fs::remove_dir_all(&unfinished);
            return Err(error);
        }
        fs::rename(&unfinished, &dir).with_context(|| format!("cannot name {}", dir.display()))?;
        Ok(dir)
    }

    /// Checks `inner` against the manifest beside it, if it is a part of an entry of a cache.
    pub(crate) fn verify_if_cached(inner: &Path) -> anyhow::Result<()> {
        match inner.parent() {
            Some(dir) if dir.join(MANIFEST).is_file() => verify(dir),
            _ => Ok(()),
        }
    }

    fn lock(&self, name: &str) -> anyhow::Result<File> {
        let path = self.root.join(format!("{name}.lock"));
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => eprintln!("another set-up is at work; waiting for it"),
            Err(TryLockError::Error(error)) => bail!("cannot lock {}: {error}", path.display()),
        }
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(file)
    }
}

fn verify(dir: &Path) -> anyhow::Result<()> {
    let path = dir.join(MANIFEST);
    let text = fs::read_to_string(&path).with_context(|| format!("{} was not finished", dir.display()))?;
    for line in text.lines() {
        let entry = line.split_once('\t').and_then(|(bytes, file)| Some((bytes.parse::<u64>().ok()?, file)));
        let (bytes, file) = entry.with_context(|| format!("{} is damaged", path.display()))?;
        let found = fs::metadata(dir.join(file)).with_context(|| format!("{} lacks {file}", dir.display()))?.len();
        ensure!(found == bytes, "{} has {found} bytes, not {bytes}", dir.join(file).display());
    }
    Ok(())
}

fn write_manifest(dir: &Path) -> anyhow::Result<()> {
    let mut sizes = BTreeMap::new();
    list(dir, Path::new(""), &mut sizes).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut text = String::new();
    for (file, bytes) in sizes {
        let file = file.to_str().with_context(|| format!("the path {} is not UTF-8", file.display()))?;
        writeln!(text, "{bytes}\t{file}").expect("a string takes all");
    }
    fs::write(dir.join(MANIFEST), text).with_context(|| format!("cannot write {}", dir.display()))
}

fn list(dir: &Path, below: &Path, sizes: &mut BTreeMap<PathBuf, u64>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let metadata = fs::metadata(dir.join(&path))?;
        if metadata.is_dir() {
            list(dir, &path, sizes)?;
        } else {
            sizes.insert(path, metadata.len());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().join("cache");
        (dir, Cache { root })
    }

    fn fill(dir: &Path) -> anyhow::Result<()> {
        fs::create_dir(dir.join("lib"))?;
        Ok(fs::write(dir.join("lib/a.so"), "library")?)
    }

    fn never(_: &Path) -> anyhow::Result<()> {
        bail!("filled again")
    }

    #[test]
    fn an_entry_is_made_once() {
        let (_keep, cache) = cache();
        assert_eq!(cache.get("it"), None);
        let dir = cache.provide("it", fill).expect("it can be made");
        assert_eq!(cache.provide("it", never).expect("it is there"), dir);
        assert_eq!(cache.get("it"), Some(dir.clone()));
        Cache::verify_if_cached(&dir.join("lib")).expect("it is whole");
    }

    #[test]
    fn a_damaged_entry_is_made_anew() {
        let (_keep, cache) = cache();
        let file = cache.provide("it", fill).expect("it can be made").join("lib/a.so");
        for damage in [|file: &Path| fs::remove_file(file), |file: &Path| fs::write(file, "lib")] {
            damage(&file).expect("it was written");
            assert_eq!(cache.get("it"), None);
            Cache::verify_if_cached(file.parent().expect("it lies in lib")).expect_err("it is damaged");
            cache.provide("it", fill).expect("it can be made");
            assert_eq!(fs::read_to_string(&file).expect("it was written"), "library");
        }
    }

    #[test]
    fn a_failed_fill_leaves_nothing() {
        let (_keep, cache) = cache();
        let half = |dir: &Path| fill(dir).and_then(|()| never(dir));
        cache.provide("it", half).expect_err("it fails half way");
        let left: Vec<_> = fs::read_dir(&cache.root).expect("it is there").filter_map(Result::ok).collect();
        assert_eq!(left.len(), 1, "the lock alone: {left:?}");
    }

    #[test]
    fn what_a_killed_fill_left_is_cleared() {
        let (_keep, cache) = cache();
        fs::create_dir_all(cache.root.join("it.unfinished/lib")).expect("a temporary folder is writable");
        fs::create_dir_all(cache.root.join("it/lib")).expect("a temporary folder is writable");
        cache.provide("it", fill).expect("it can be made");
    }

    #[test]
    fn two_at_once_make_one() {
        let (_keep, cache) = cache();
        let made = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let count = |dir: &Path| {
                        made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        std::thread::sleep(std::time::Duration::from_millis(50));
                        fill(dir)
                    };
                    cache.provide("it", count).expect("it can be made");
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }
}
