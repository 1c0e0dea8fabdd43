//! Broken and lying archives: each gives an error or a graph, in bounded time, and none a panic.

use std::io::Write as _;
use std::time::{Duration, Instant};

use pruner_core::deps::Analysis;
use pruner_core::pt2::{Mode, Pt2};
use serde_json::{Value as Json, json};
use zip::CompressionMethod;

use super::support::{ARCHIVES, archive, entries, error, halved, zipped};

/// The longest that any archive of these takes.
const SLOWEST: Duration = Duration::from_secs(20);

/// A sequence of numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// Reads, analyses, cuts and writes an archive as far as it goes; whether it went to the end.
fn survive(bytes: &[u8], case: &str) -> bool {
    let start = Instant::now();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("broken.pt2");
    std::fs::File::create(&path).and_then(|mut file| file.write_all(bytes)).expect("it can be written");
    let done = Pt2::open(&path).ok().and_then(|model| {
        let analysis = Analysis::new(model.graph()).ok()?;
        model.write(&analysis, &halved(&analysis), Mode::Train, &folder.path().join("small.pt2")).ok()
    });
    assert!(start.elapsed() < SLOWEST, "{case} took {:?}", start.elapsed());
    done.is_some()
}

#[test]
fn archives_that_are_cut_short_are_refused() {
    let whole = archive("residual");
    let mut random = Random(1);
    for _ in 0..300 {
        let length = random.below(whole.len());
        assert!(!survive(&whole[..length], &format!("the first {length} bytes")), "the first {length} bytes");
    }
}

#[test]
fn flipped_bits_do_no_harm() {
    for (seed, name) in ARCHIVES.iter().enumerate() {
        let whole = archive(name);
        let mut random = Random(seed as u64 + 2);
        for round in 0..700 {
            let mut broken = whole.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(broken.len());
                broken[at] ^= 1 << random.below(8);
            }
            survive(&broken, &format!("{name}, round {round}"));
        }
    }
}

#[test]
fn flipped_bits_of_the_directory_do_no_harm() {
    let whole = archive("residual");
    let mut random = Random(9);
    for round in 0..1500 {
        let mut broken = whole.clone();
        let at = broken.len() - 1 - random.below(3000.min(whole.len()));
        broken[at] = random.below(256) as u8;
        survive(&broken, &format!("round {round}"));
    }
}

#[test]
fn lies_in_json_do_no_harm() {
    for (seed, name) in ARCHIVES.iter().enumerate() {
        let whole = entries(&archive(name));
        let parsed: Vec<Option<Json>> = whole.iter().map(|(_, bytes)| serde_json::from_slice(bytes).ok()).collect();
        let texts: Vec<_> = (0..whole.len()).filter(|&at| parsed[at].as_ref().is_some_and(Json::is_object)).collect();
        let mut random = Random(seed as u64 + 20);
        let mut believed = 0;
        for round in 0..1500 {
            // Most lies are in the program, which has most to lie about.
            let at = if random.below(4) > 0 { texts[texts.len() - 1] } else { texts[random.below(texts.len())] };
            let Some(mut value) = parsed[at].clone() else { continue };
            for _ in 0..=random.below(3) {
                if random.below(5) == 0 { lie(&mut value, &mut random) } else { lie_plausibly(&mut value, &mut random) }
            }
            let mut broken = whole.clone();
            broken[at].1 = value.to_string().into_bytes();
            let done = survive(&zipped(&broken, CompressionMethod::Stored), &format!("{name}, round {round}"));
            believed += usize::from(done);
        }
        assert!(
            (100..1400).contains(&believed),
            "{name}: {believed} lies got through, so that some are found out late"
        );
    }
}

/// Changes a number, name or truth value into another, so that the lie is found out late.
fn lie_plausibly(value: &mut Json, random: &mut Random) {
    let mut leaves = Vec::new();
    find_leaves(value, &mut String::new(), &mut leaves);
    let (Some(path), Some(other)) = (leaves.get(random.below(leaves.len())), leaves.get(random.below(leaves.len())))
    else {
        return;
    };
    // A name becomes one that stands in such a place elsewhere.
    let key = path.rsplit('/').next();
    let alike: Vec<_> = leaves.iter().filter(|other| other.rsplit('/').next() == key).collect();
    let alike = alike.get(random.below(alike.len())).map_or(other, |path| *path);
    let alike = value.pointer(alike).cloned().unwrap_or_default();
    let Some(leaf) = value.pointer_mut(path) else { return };
    *leaf = match &*leaf {
        Json::Number(number) => {
            let was = number.as_i64().unwrap_or(0);
            let near = [was.wrapping_sub(1), was.wrapping_add(1), was.wrapping_mul(2), was / 2, was.wrapping_neg()];
            let far = [0, 1, 1 << 28, 1 << 40, i64::MAX, i64::MIN];
            match random.below(3) {
                0 => alike,
                1 => json!(far[random.below(far.len())]),
                _ => json!(near[random.below(near.len())]),
            }
        }
        Json::Bool(truth) => json!(!truth),
        _ => alike,
    };
}

/// The paths of all that is neither list nor object, without what is never read.
fn find_leaves(value: &Json, path: &mut String, leaves: &mut Vec<String>) {
    let length = path.len();
    let mut enter = |key: &str, value: &Json| {
        path.push('/');
        path.push_str(key);
        find_leaves(value, path, leaves);
        path.truncate(length);
    };
    match value {
        Json::Object(fields) => {
            let read = |key: &str| !matches!(key, "metadata" | "module_call_graph" | "treespec_namedtuple_fields");
            fields.iter().filter(|(key, _)| read(key)).for_each(|(key, value)| enter(key, value));
        }
        Json::Array(elements) => {
            elements.iter().enumerate().for_each(|(at, value)| enter(&at.to_string(), value));
        }
        _ => leaves.push(path.clone()),
    }
}

/// Changes something below a random path.
fn lie(value: &mut Json, random: &mut Random) {
    let deeper = random.below(12) > 0;
    match value {
        Json::Object(fields) if deeper && !fields.is_empty() => {
            let at = random.below(fields.len());
            let key = fields.keys().nth(at).expect("it is below the length").clone();
            match random.below(60) {
                0 => drop(fields.remove(&key)),
                1 => {
                    let field = fields.remove(&key).expect("it is there");
                    fields.insert("as_ints".to_owned(), field);
                }
                _ => lie(fields.get_mut(&key).expect("it is there"), random),
            }
        }
        Json::Array(elements) if deeper && !elements.is_empty() => {
            let (at, other) = (random.below(elements.len()), random.below(elements.len()));
            match random.below(40) {
                0 => drop(elements.remove(at)),
                1 => elements.swap(at, other),
                2 => elements.push(elements[at].clone()),
                _ => lie(&mut elements[at], random),
            }
        }
        _ => {
            let lies = [
                json!(-1),
                json!(0),
                json!(1),
                json!(3),
                json!(i64::MAX),
                json!(i64::MIN),
                json!(1_u64 << 40),
                json!(1e308),
                json!(null),
                json!(true),
                json!(""),
                json!("x"),
                json!("add"),
                json!("torch.ops.aten.view.default"),
                json!([]),
                json!([[], {}]),
                json!({}),
                json!({ "as_int": i64::MAX }),
                json!({ "as_int": 1 << 28 }),
                json!({ "as_ints": [-1, i64::MAX] }),
                json!({ "as_tensor": { "name": "x" } }),
                json!({ "as_expr": { "expr_str": "Mul(Integer(0), Symbol('s'))", "hint": { "as_int": 0 } } }),
            ];
            *value = lies[random.below(lies.len())].clone();
        }
    }
}

#[test]
fn zips_that_are_no_archives_of_this_kind_are_refused() {
    let whole = entries(&archive("residual"));
    assert!(error(&zipped(&whole, CompressionMethod::Deflated)).contains("compressed"));
    for name in ["residual/../escape", "/etc/passwd", "residual/a\\b", "other/file", "file", "residual//file"] {
        let mut broken = whole.clone();
        broken.push((name.to_owned(), Vec::new()));
        let error = error(&zipped(&broken, CompressionMethod::Stored));
        assert!(error.contains("entry"), "{name}: {error}");
    }
    assert!(error(b"").contains("no whole `.pt2` archive"));
    assert!(error(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").contains("no entries"));
}

#[test]
fn two_entries_of_one_name_are_refused() {
    let mut whole = entries(&archive("residual"));
    whole.push(("residual/byteordex".to_owned(), b"big".to_vec()));
    let mut bytes = zipped(&whole, CompressionMethod::Stored);
    for at in (0..bytes.len() - 18).filter(|&at| bytes[at..].starts_with(b"residual/byteordex")).collect::<Vec<_>>() {
        bytes[at..at + 18].copy_from_slice(b"residual/byteorder");
    }
    assert!(error(&bytes).contains("can be told apart"), "{}", error(&bytes));
}
