//! Fashion-MNIST: the full set for the benchmarks and the balanced subset that the repository ships.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use flate2::Compression;
use flate2::GzBuilder;
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::idx::Idx;
use crate::{debian, download};

/// The files, as the authors name them, with the sums of what they hold unpacked.
const FILES: [(&str, &str); 4] = [
    ("train-images-idx3-ubyte.gz", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    ("train-labels-idx1-ubyte.gz", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    ("t10k-images-idx3-ubyte.gz", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    ("t10k-labels-idx1-ubyte.gz", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
];

/// Debian's package of the data, and where it puts the files.
const PACKAGE: &str = "dataset-fashion-mnist";
const PACKAGED: &str = "usr/share/datasets/fashion-mnist";

/// The authors' own address.
const OFFICIAL: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com";

/// The images per class in the subset.
const SUBSET: [(&str, usize); 2] = [("train", 1200), ("t10k", 200)];

/// Brings the full set into `dir`, unless it is there already.
pub(crate) fn full(dir: &Path) -> anyhow::Result<()> {
    if verify(dir).is_ok() {
        return Ok(());
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot write {}", dir.display()))?;
    // On the same file system, so that a rename brings each file whole.
    let work = tempfile::tempdir_in(dir).with_context(|| format!("cannot write {}", dir.display()))?;
    let debian = debian::unpack(PACKAGE, work.path()).map(|()| work.path().join(PACKAGED));
    let found = match debian {
        Ok(found) => found,
        Err(error) => {
            eprintln!("Debian's package {PACKAGE} is not to be had ({error:#}); asking {OFFICIAL}");
            for (file, _) in FILES {
                download::fetch(&format!("{OFFICIAL}/{file}"), &work.path().join(file))?;
            }
            work.path().to_owned()
        }
    };
    verify(&found)?;
    for (file, _) in FILES {
        fs::rename(found.join(file), dir.join(file))
            .with_context(|| format!("cannot write {}", dir.join(file).display()))?;
    }
    Ok(())
}

/// Writes the balanced subset of the set in `full` into `dir`.
pub(crate) fn subset(full: &Path, dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot write {}", dir.display()))?;
    for (part, per_class) in SUBSET {
        let names = [format!("{part}-labels-idx1-ubyte.gz"), format!("{part}-images-idx3-ubyte.gz")];
        let labels = Idx::parse(&gunzip(&full.join(&names[0]))?)?;
        let images = Idx::parse(&gunzip(&full.join(&names[1]))?)?;
        let places = labels.first_of_each(per_class)?;
        for (idx, name) in [labels, images].iter().zip(&names) {
            gzip(&dir.join(name), &idx.select(&places)?.to_bytes())?;
        }
    }
    Ok(())
}

fn verify(dir: &Path) -> anyhow::Result<()> {
    for (file, expected) in FILES {
        let sum = format!("{:x}", Sha256::digest(gunzip(&dir.join(file))?));
        ensure!(sum == expected, "{} is not Fashion-MNIST: its SHA-256 unpacked is {sum}", dir.join(file).display());
    }
    Ok(())
}

fn gunzip(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes).with_context(|| format!("cannot unpack {}", path.display()))?;
    Ok(bytes)
}

/// Without name or time in its header, so that the same values give the same file.
fn gzip(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    let mut gz = GzBuilder::new().write(File::create(path).with_context(context)?, Compression::best());
    gz.write_all(bytes).and_then(|()| gz.finish()).with_context(context)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_subset_is_balanced() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/fashion-mnist");
        for (part, per_class) in SUBSET {
            let read =
                |name: String| Idx::parse(&gunzip(&dir.join(name)).expect("it is shipped")).expect("it is whole");
            let labels = read(format!("{part}-labels-idx1-ubyte.gz"));
            let places = labels.first_of_each(per_class).expect("each class has its share");
            assert_eq!(places.len(), 10 * per_class);
            assert_eq!(labels.select(&places).expect("they are there"), labels, "no label is left over");
            let images = read(format!("{part}-images-idx3-ubyte.gz"));
            assert_eq!(images.select(&places).expect("there is an image for each label"), images);
        }
    }

    #[test]
    fn a_file_that_is_something_else_is_found_out() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        verify(dir.path()).expect_err("it is empty");
        for (file, _) in FILES {
            gzip(&dir.path().join(file), b"something else").expect("a temporary folder is writable");
        }
        let error = verify(dir.path()).expect_err("it is something else");
        assert!(error.to_string().contains("is not Fashion-MNIST"), "{error}");
    }
}
