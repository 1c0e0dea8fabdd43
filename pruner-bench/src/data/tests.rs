//! Reading IDX files, sound and damaged.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// The bytes of an IDX file.
fn idx(magic: u32, shape: &[u32], data: &[u8]) -> Vec<u8> {
    let header = [&[magic], shape].concat();
    header.iter().flat_map(|word| word.to_be_bytes()).chain(data.iter().copied()).collect()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

/// A folder with 3 images of 2×2 to learn from and 1 to judge by.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let pixels: Vec<u8> = (0..12).collect();
    write(&dir, "train-images-idx3-ubyte.gz", &gz(&idx(0x803, &[3, 2, 2], &pixels)));
    write(&dir, "train-labels-idx1-ubyte.gz", &gz(&idx(0x801, &[3], &[9, 0, 4])));
    write(&dir, "t10k-images-idx3-ubyte.gz", &gz(&idx(0x803, &[1, 2, 2], &[255, 0, 0, 0])));
    write(&dir, "t10k-labels-idx1-ubyte.gz", &gz(&idx(0x801, &[1], &[7])));
    dir
}

fn write(dir: impl AsRef<Path>, name: &str, bytes: &[u8]) {
    fs::write(dir.as_ref().join(name), bytes).expect("a temporary folder can be written to");
}

/// What `load` says of a folder in which one file holds these bytes.
#[track_caller]
fn check(name: &str, bytes: &[u8], message: &str) {
    let dir = folder();
    write(&dir, name, bytes);
    let error = FashionMnist::load(&dir).expect_err("the file is wrong").to_string();
    assert!(error.contains(name) && error.contains(message), "{error}");
}

#[test]
fn images_are_normalised_and_labels_kept() {
    let data = FashionMnist::load(folder()).expect("the folder is whole");
    assert_eq!(data.train.images.size(), [3, 1, 2, 2]);
    assert_eq!(Vec::<i64>::try_from(&data.train.labels).expect("a vector"), [9, 0, 4]);
    assert_eq!((data.test.len(), data.test.is_empty()), (1, false));
    let white = data.test.images.double_value(&[0, 0, 0, 0]);
    assert!((white - (1.0 - 0.2860) / 0.3530).abs() < 1e-5, "{white}");
}

#[test]
fn a_plain_file_is_read_where_there_is_no_packed_one() {
    let dir = folder();
    fs::remove_file(dir.path().join("t10k-labels-idx1-ubyte.gz")).expect("the file is there");
    write(&dir, "t10k-labels-idx1-ubyte", &idx(0x801, &[1], &[3]));
    let data = FashionMnist::load(&dir).expect("the folder is whole");
    assert_eq!(data.test.labels.int64_value(&[0]), 3);
}

#[test]
fn damaged_files_are_named_with_what_is_wrong() {
    let images = "train-images-idx3-ubyte.gz";
    let labels = "train-labels-idx1-ubyte.gz";
    check(images, b"not packed", "damaged");
    check(images, &gz(b""), "the magic number");
    check(images, &gz(&idx(0x803, &[3, 2], &[])), "a size");
    check(images, &gz(&idx(0x801, &[3], &[1, 2, 3])), "0x00000801");
    check(images, &gz(&idx(0x803, &[3, 2, 2], &[0; 11])), "less than the 12 bytes");
    check(images, &gz(&idx(0x803, &[3, 2, 2], &[0; 13])), "more than the 12 bytes");
    check(images, &gz(&idx(0x803, &[u32::MAX; 3], &[])), "limit");
    check(images, &gz(&idx(0x803, &[1 << 10; 3], &[])), "less than");
    check(images, &gz(&idx(0x803, &[0, 2, 2], &[])), "holds 0 images");
    check(labels, &gz(&idx(0x801, &[2], &[1, 2])), "2 labels");
    check(labels, &gz(&idx(0x801, &[3], &[1, 10, 2])), "label 1");
    let whole = gz(&idx(0x803, &[3, 2, 2], &[0; 12]));
    check(images, &whole[..whole.len() - 9], "damaged");
}

#[test]
fn a_missing_folder_is_named_with_what_to_do() {
    let error = FashionMnist::load("no/such/folder").expect_err("there is none").to_string();
    assert!(error.contains("no/such/folder") && error.contains("cargo xtask data"), "{error}");
}

#[test]
fn batches_hold_every_image_once_in_an_order_of_the_seed() {
    let images = Tensor::arange(10, (Kind::Float, Device::Cpu)).view([10, 1, 1, 1]);
    let split = Split { images, labels: Tensor::arange(10, (Kind::Int64, Device::Cpu)) };
    let order = |seed| {
        let batches: Vec<_> = split.batches(seed, 4).collect();
        assert_eq!(batches.iter().map(|(_, labels)| labels.size()[0]).collect::<Vec<_>>(), [4, 4, 2]);
        let labels = Tensor::cat(&batches.iter().map(|(_, labels)| labels).collect::<Vec<_>>(), 0);
        let images = Tensor::cat(&batches.iter().map(|(images, _)| images).collect::<Vec<_>>(), 0);
        assert!(images.flatten(0, -1).to_kind(Kind::Int64).equal(&labels), "an image goes with its label");
        Vec::<i64>::try_from(labels).expect("a vector")
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    let mut sorted = order(1);
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..10));
    assert_eq!(split.in_order(3).map(|(_, labels)| labels.int64_value(&[0])).collect::<Vec<_>>(), [0, 3, 6, 9]);
    assert_eq!((split.first(3).len(), split.first(99).len()), (3, 10));
}
