//! A crate outside of the workspace adds a criterion and a scheduler, and a config names them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the crate on a config, with what the workspace has built.
fn run(config: &Path) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = root.join("examples/own_importance");
    // With the versions of the workspace: another would mean to build the bindings of libtorch once more.
    fs::copy(root.join("Cargo.lock"), example.join("Cargo.lock")).expect("the checkout can be written");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is a folder of the target folder");
    Command::new(env!("CARGO"))
        .current_dir(&example)
        .args(["run", "--quiet", "--offline", "--target-dir"])
        .arg(target)
        .arg("--")
        .arg(config)
        .output()
        .expect("cargo runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn plugins_of_a_crate_of_its_own_are_used_by_name_and_listed_with_the_shipped_ones() {
    let output = run(Path::new("config.json"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let (plugins, steps) = printed.split_once('\n').expect("it prints several lines");
    let plugins: Vec<&str> = plugins.trim_start_matches("plugins: ").split(", ").collect();
    for name in ["spread", "staircase", "magnitude", "linear"] {
        assert!(plugins.contains(&name), "{plugins:?}");
    }
    assert_eq!(
        steps,
        "step 1: pruned false, hidden units left [[0, 1, 2, 3]]\n\
         step 2: pruned true, hidden units left [[1, 2, 3]]\n\
         step 3: pruned false, hidden units left [[1, 2, 3]]\n\
         step 4: pruned true, hidden units left [[1, 2]]\n"
    );

    let config = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("own_importance.json");
    fs::write(&config, r#"{"importance": "sprad", "scheduler": "linear", "steps": 2}"#).expect("it can be written");
    let output = run(&config);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    let message = text(&output.stderr);
    assert!(message.contains("unknown importance `sprad` (did you mean `spread`?)"), "{message}");

    fs::write(&config, r#"{"importance": {"importance": "magnitude", "p": 1}, "scheduler": "cubic", "steps": 2}"#)
        .expect("it can be written");
    let output = run(&config);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("step 1: pruned true"), "{}", text(&output.stdout));
}
