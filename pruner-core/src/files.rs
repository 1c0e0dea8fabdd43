//! Files that are there whole or not at all.

use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

/// A file beside `path` that goes away unless it is given that name, with the permissions that any new file gets.
///
/// # Errors
///
/// Besides those of the system: what stands at `path` is no regular file, as a link or a device, which is never replaced.
pub fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, NotRegular));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pruner-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

/// Gives a file its name once all of it is stored.
pub fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(path);
    Ok(())
}

/// As [`persist`], for a file that was written by its temporary name.
pub fn persist_path(file: TempPath, path: &Path) -> io::Result<()> {
    File::open(&file)?.sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(path);
    Ok(())
}

fn sync_folder(path: &Path) {
    // The name is only safe once its folder is; not every system lets a folder be opened.
    if let Ok(folder) = File::open(folder(path)) {
        folder.sync_all().ok();
    }
}

/// Why a file is not replaced.
#[derive(Debug, thiserror::Error)]
#[error("what is there is no regular file, and is not replaced; name another file")]
struct NotRegular;

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
