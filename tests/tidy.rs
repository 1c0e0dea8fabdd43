//! The invariants of ARCHITECTURE.md that are about what is absent from the source.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder of the workspace, each with its text up to its unit tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).expect("a source file is text");
                let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
                found.push((path, text[..end].to_owned()));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found.sort();
    found
}

/// The modules of pruner-core in the order of ARCHITECTURE.md.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let line =
        text.lines().find(|line| line.starts_with("ids → ")).expect("ARCHITECTURE.md gives the order of modules");
    line.split(['→', '│']).map(|module| module.trim().to_owned()).collect()
}

#[test]
fn a_module_of_the_core_uses_only_those_before_it() {
    let layers = layers();
    let rank: BTreeMap<&str, usize> = layers.iter().enumerate().map(|(rank, name)| (name.as_str(), rank)).collect();
    let core = root().join("pruner-core/src");
    let mut wrong = Vec::new();
    for (path, text) in sources("pruner-core/src") {
        let inside = path.strip_prefix(&core).expect("the file is in the core").to_string_lossy().replace(".rs", "");
        let module = inside.split('/').next().expect("a path has a first part");
        if module == "lib" {
            continue;
        }
        let own = *rank.get(module).unwrap_or_else(|| panic!("{module} is missing from the order in ARCHITECTURE.md"));
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for used in code.match_indices("crate::").map(|(at, _)| &code[at + "crate::".len()..]) {
            let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().expect("a split has a first part");
            if rank.get(used).is_some_and(|&rank| rank > own) {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_order_of_modules_names_only_modules_that_are_there() {
    for module in layers() {
        let path = root().join("pruner-core/src").join(&module);
        assert!(path.is_dir() || path.with_extension("rs").is_file(), "{module} is no module of pruner-core");
    }
}

#[test]
fn unsafe_code_is_in_two_modules() {
    for folder in ["src", "pruner-core/src", "pruner-importance/src", "pruner-schedulers/src", "pruner-bench/src"] {
        for (path, text) in sources(folder) {
            let found = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("unsafe "));
            let module = path.to_str().expect("a source has a plain name").replace('\\', "/");
            let allowed = ["pruner-core/src/aten/", "pruner-core/src/pt2/map.rs"].iter().any(|at| module.contains(at));
            assert!(!found || allowed, "{} has unsafe code", path.display());
        }
    }
}

#[test]
fn the_analysis_names_no_operation() {
    for (path, text) in sources("pruner-core/src/deps") {
        assert!(!text.contains("\"aten::"), "{} names an operation", path.display());
    }
}

#[test]
fn every_file_says_first_what_it_is() {
    for folder in ["src", "pruner-core", "pruner-importance", "pruner-schedulers", "pruner-bench", "xtask", "tests"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{} does not say first what it is", path.display());
        }
    }
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(root().join(document)).expect("the document is there");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().expect("a split has a first part");
            let local = !path.is_empty() && !link.contains("://");
            assert!(!local || root().join(path).exists(), "{document} links to {link}, which is not there");
        }
    }
}

#[test]
fn every_file_of_the_core_is_on_the_map() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    for entry in fs::read_dir(root().join("pruner-core/src")).expect("the folder can be read") {
        let name = entry.expect("the entry can be read").file_name().to_string_lossy().into_owned();
        assert!(text.contains(&format!("(pruner-core/src/{name}")), "ARCHITECTURE.md does not map {name}");
    }
}

#[test]
fn the_example_of_the_readme_is_the_one_that_runs() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md is there");
    let example = fs::read_to_string(root().join("examples/quickstart.rs")).expect("the example is there");
    assert!(readme.contains(&example), "README.md shows another quickstart than examples/quickstart.rs");
}
