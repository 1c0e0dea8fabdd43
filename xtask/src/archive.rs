//! The official archive of libtorch, for machines without Python.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use zip::ZipArchive;

use crate::download;
use crate::libtorch::VERSION;

/// Where the archive for this machine is.
pub(crate) fn url(cuda: bool) -> anyhow::Result<String> {
    let build = if cuda { "cu130" } else { "cpu" };
    let file = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => format!("libtorch-shared-with-deps-{VERSION}%2B{build}.zip"),
        ("macos", "aarch64") if !cuda => format!("libtorch-macos-arm64-{VERSION}.zip"),
        (os, arch) => bail!("there is no official libtorch for {os} on {arch}: install python3 with pip"),
    };
    Ok(format!("https://download.pytorch.org/libtorch/{build}/{file}"))
}

/// Downloads and unpacks the archive into `dir`, where it makes the folder `libtorch`.
pub(crate) fn install(url: &str, dir: &Path) -> anyhow::Result<()> {
    let file = dir.join("libtorch.zip");
    download::fetch(url, &file)?;
    unpack(&file, dir).with_context(|| format!("cannot unpack {url}"))?;
    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
}

/// Unpacks and checks the sums of all that it holds.
fn unpack(file: &Path, dir: &Path) -> anyhow::Result<()> {
    let mut zip = ZipArchive::new(File::open(file)?)?;
    let bar = download::bar(zip.decompressed_size().and_then(|bytes| u64::try_from(bytes).ok()));
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index)?;
        let name = entry.enclosed_name().with_context(|| format!("{} leaves its folder", entry.name()))?;
        let path = dir.join(name);
        if entry.is_dir() {
            fs::create_dir_all(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        io::copy(&mut bar.wrap_read(&mut entry), &mut File::create(&path)?)?;
    }
    bar.finish_and_clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::libtorch::{Libtorch, tests::least};

    fn zip_of(files: &[(String, String)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, text) in files {
            zip.start_file(format!("libtorch/{path}"), SimpleFileOptions::default()).expect("memory is writable");
            zip.write_all(text.as_bytes()).expect("memory is writable");
        }
        zip.finish().expect("memory is writable").into_inner()
    }

    /// Answers one request with `body`, of which it says that it has `bytes`.
    fn serve(body: Vec<u8>, bytes: usize, status: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let _ = stream.read(&mut [0; 4096])?;
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n")?;
            stream.write_all(&body)
        });
        format!("http://{address}/libtorch.zip")
    }

    #[test]
    fn an_archive_becomes_a_libtorch() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let zip = zip_of(&least());
        let bytes = zip.len();
        install(&serve(zip, bytes, "200 OK"), dir.path()).expect("it is whole");
        Libtorch::open(&dir.path().join("libtorch"), false).expect("it is whole");
        assert!(!dir.path().join("libtorch.zip").exists());
    }

    #[test]
    fn a_broken_download_is_an_error() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let files = least();
        let zip = zip_of(&files);
        let bytes = zip.len();
        let mut flipped = zip.clone();
        // Behind the fixed part of the first file's header and its name its bytes begin.
        flipped[30 + "libtorch/".len() + files[0].0.len() + 4] ^= 0xff;
        install(&serve(flipped, bytes, "200 OK"), dir.path()).expect_err("a byte is wrong");
        install(&serve(zip[..bytes / 2].to_vec(), bytes, "200 OK"), dir.path()).expect_err("half is missing");
        install(&serve(zip, bytes, "404 Not Found"), dir.path()).expect_err("it is not there");
    }
}
