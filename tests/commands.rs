//! The commands on exported programs, as a user calls them.

mod common;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use common::Net;
use pruner::exec::Mode;
use pruner::graph::{Graph, Node};
use pruner::ids::ValueId;
use pruner::pt2::{Call, Layout, Pt2Error, Returned, Source, create};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A program that the tests of the core made with torch.
fn exported(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pruner-core/tests/pt2").join(name).with_extension("pt2")
}

/// A folder of files, in which commands are run.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::cargo_bin("pruner").expect("the binary is built");
        command.current_dir(self.0.path()).env("OMP_NUM_THREADS", "1");
        for argument in arguments.split_whitespace() {
            match argument.strip_prefix('@') {
                Some(name) => command.arg(exported(name)),
                None => command.arg(argument),
            };
        }
        command.output().expect("it is run")
    }

    /// What a command prints that ends with `code`.
    #[track_caller]
    fn ends(&self, code: i32, arguments: &str) -> String {
        let output = self.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments}: {out}{err}");
        assert!(!err.contains("panicked"), "{arguments}: {err}");
        if [1, 2, 4].contains(&code) { err } else { out }
    }

    #[track_caller]
    fn json(&self, code: i32, arguments: &str) -> Value {
        let output = self.run(&format!("{arguments} --json"));
        assert_eq!(output.status.code(), Some(code), "{arguments}");
        serde_json::from_slice(&output.stdout).expect("it prints JSON")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), bytes).expect("it can be written");
    }

    fn names(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().expect("the folder is there");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_model_is_pruned_verified_compared_and_the_cut_made_again() {
    let folder = Folder::new();
    for name in ["residual", "transformer", "modes"] {
        let pruned =
            folder.json(0, &format!("prune @{name} --ratio 0.5 -o small.pt2 --manifest cut.json --report report.json"));
        let report = &pruned["reports"][0];
        assert_eq!(report["outcome"]["kind"], "pruned", "{name}");
        let diff = folder.json(0, &format!("diff @{name} small.pt2"));
        assert_eq!(
            (&diff["before"]["params"], &diff["after"]["params"]),
            (&report["before"]["params"], &report["after"]["params"])
        );
        assert!(diff["after"]["params"].as_u64() < diff["before"]["params"].as_u64(), "{name}");
        let stats = folder.json(0, "stats small.pt2 --runs 1");
        assert_eq!(stats["counts"]["macs"], report["after"]["macs"], "{name}");
        assert!(stats["latency"]["latency_ms_p50"].as_f64().is_some_and(|ms| ms > 0.0));

        let verified = folder.json(0, &format!("verify @{name} --manifest cut.json --pruned small.pt2"));
        assert_eq!(verified["passed"], true);
        assert!(verified["effect"].as_f64() > Some(1e-3), "{verified}");
        folder.ends(0, &format!("replay @{name} cut.json -o again.pt2"));
        assert_eq!(folder.read("again.pt2"), folder.read("small.pt2"), "{name}");
        let saved: Value = serde_json::from_slice(&folder.read("report.json")).expect("it is JSON");
        assert_eq!(saved, pruned);
    }
}

#[test]
fn what_is_verified_is_seen_to_differ_when_it_does() {
    let folder = Folder::new();
    folder.ends(0, "prune @residual --ratio 0.5 -o small.pt2 --manifest cut.json");
    folder.ends(0, "prune @residual --ratio 0.5 --importance random -o other.pt2 --manifest other.json");
    let text = folder.ends(5, "verify @residual --manifest cut.json --pruned other.pt2");
    assert!(text.contains("DIFFERS") && text.ends_with("NOT VERIFIED\n"), "{text}");
    let text = folder.ends(1, "verify @modes --manifest cut.json");
    assert!(text.contains("cut.json: the manifest cuts `"), "{text}");
    folder.ends(0, "prune @transformer --ratio 0.5 -o transformer.pt2");
    let text = folder.ends(1, "verify @residual --manifest cut.json --pruned transformer.pt2");
    assert!(text.contains("transformer.pt2: "), "{text}");
}

#[test]
fn groups_are_shown_with_what_stands_in_the_way_of_the_rest() {
    let folder = Folder::new();
    let found = folder.json(0, "inspect @residual");
    let groups = found["groups"].as_array().expect("a list");
    let group = |name: &str| groups.iter().find(|group| group["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(group("stem.weight:0")["pinned"], Value::Null);
    assert_eq!(group("wide.weight:0")["members"].as_array().map(Vec::len), Some(3));
    assert_eq!(group("head.weight:0")["pinned"], "axis of a network output");
    assert!(found["prunable_params"].as_f64().is_some_and(|share| share > 0.5 && share < 1.0));
    assert_eq!(group("wide.weight:0")["role"], "channels");
    let heads = folder.json(0, "inspect @transformer");
    let roles = heads["groups"].as_array().expect("a list").iter().map(|group| group["role"].clone());
    assert_eq!(roles.filter(|role| role != "channels").collect::<Vec<_>>(), ["head-dims", "heads"]);
    assert!(folder.ends(0, "inspect @transformer").contains("in_proj_weight:0/1         4  heads "));
    let text = folder.ends(0, "inspect @residual");
    assert!(!text.contains("role"), "{text}");
    let text = folder.ends(0, "inspect @residual --members");
    assert!(text.contains("wide.weight:0 wide.bias:0 narrow.weight:1") && !text.contains("network output"), "{text}");
    assert!(folder.ends(0, "inspect @residual --all").contains("impossible  axis of a network output"));
}

#[test]
fn a_step_that_cuts_nothing_and_a_budget_that_cannot_be_met_have_codes_of_their_own() {
    let folder = Folder::new();
    let text = folder.ends(3, "prune @residual --ratio 0.01 -o small.pt2");
    assert!(text.starts_with("step 1 of 1: nothing pruned: "), "{text}");
    let text = folder.ends(4, "prune @residual --params 0.9 --min-channels 8 -o none.pt2");
    assert!(text.contains("the budget removes 90.0 % of the parameters, and cutting all"), "{text}");
    let done = folder.json(0, "prune @residual --macs 0.3 -o small.pt2");
    let macs = |when: &str| done["reports"][0][when]["macs"].as_f64().expect("a number");
    assert!(macs("after") <= 0.7 * macs("before") && macs("after") > 0.4 * macs("before"));
    let done = folder.json(0, "prune @residual --macs 0.3 --params 0.2 --bytes 0.4 --scope global -o small.pt2");
    let standings = done["reports"][0]["budget"].as_array().expect("a list");
    let asked: Vec<_> = standings.iter().map(|of| (of["measure"].as_str().expect("a name"), &of["asked"])).collect();
    assert_eq!(asked, [("params", &0.2.into()), ("macs", &0.3.into()), ("bytes", &0.4.into())]);
    assert!(standings.iter().all(|of| of["gap"] == 0.0), "{standings:?}");
    let text = folder.ends(4, "prune @residual --latency 0.99999 --scope global -o none.pt2");
    assert!(text.contains("the budget removes 100.0 % of the latency, and cutting all"), "{text}");
    assert_eq!(folder.names(), ["small.pt2"]);
}

#[test]
fn a_plan_is_saved_edited_and_cut_by() {
    let folder = Folder::new();
    let text = folder.ends(0, "prune @residual --ratio 0.25 --dry-run --save-plan plan.json");
    assert!(text.ends_with("no model is written\n"), "{text}");
    assert_eq!(folder.names(), ["plan.json"]);
    let mut plan: Value = serde_json::from_slice(&folder.read("plan.json")).expect("it is JSON");
    let cuts = plan["cuts"].as_object_mut().expect("an object");
    let (group, cut) = cuts.iter_mut().next().map(|(group, cut)| (group.clone(), cut)).expect("something is cut");
    *cut = serde_json::json!([0, 7]);
    folder.write("plan.json", plan.to_string());
    let done = folder.json(0, "prune @residual --plan plan.json -o small.pt2");
    let report = done["reports"][0]["groups"].as_array().expect("a list");
    let kept = &report.iter().find(|report| report["group"] == *group).expect("it is reported")["kept"];
    assert!(!kept.as_array().expect("a list").iter().any(|kept| *kept == 0 || *kept == 7), "{kept}");
    for (config, says) in [
        ("[limits]\nmin_channels = 12\n", "but min_channels keeps 12"),
        ("budget = { macs = 0.5 }\n", "both the plan and the budget of the config say how much goes"),
    ] {
        folder.write("cut.toml", config);
        let text = folder.ends(1, "prune @residual --config cut.toml --plan plan.json -o none.pt2");
        assert!(text.starts_with("error: plan.json: ") && text.contains(says), "{text}");
    }
    folder.write("plan.json", r#"{"cuts": {"g99": [0]}}"#);
    let text = folder.ends(1, "prune @residual --plan plan.json -o none.pt2");
    assert!(text.contains("plan.json: the plan cuts g99"), "{text}");
}

#[test]
fn settings_come_from_a_file_and_options_take_their_place() {
    let folder = Folder::new();
    folder.write(
        "cut.toml",
        "steps = 2\nscheduler = \"linear\"\nbudget = { params = 0.1 }\n[limits]\nignore = [\"wide.bias\"]\n",
    );
    let done = folder.json(0, "prune @residual --config cut.toml -o small.pt2");
    let reports = done["reports"].as_array().expect("a list");
    assert_eq!(reports.len(), 2);
    assert!(reports[1]["groups"].as_array().expect("a list").iter().any(|group| group["reason"]["code"] == "ignored"));
    let done =
        folder.json(0, "prune @residual --config cut.toml --ratio 0.5 --ignore gate.bias --round-to 4 -o small.pt2");
    assert_eq!(done["reports"][1]["target"], 0.5);
    for (config, says) in [
        ("step = 2", "unknown key `step` (did you mean `steps`?), expected one of `$schema`, "),
        ("steps = 0", "steps is 0"),
        ("steps = 100000000000", "steps is 100000000000; a config has at most 10000"),
        (
            "importance = { importance = 'mix', parts = [{ of = 'magnitude', part = -1 }] }",
            "importance: importance `mix`: parts[0].part is -1; give a number above 0",
        ),
        ("budget = { flops = 0.5 }", "budget.flops: unknown field `flops`"),
        ("budget = { mac = 0.5 }", "budget.mac: unknown field `mac` (did you mean `macs`?), expected one of"),
        (
            "importance = { importance = 'magnitude', p = inf }",
            "`importance.p` is inf; give a finite number, or \"inf\"",
        ),
        ("budget = {}", "the budget is empty"),
        ("budget = { macs = 1.0 }", "the budget removes 1 of the multiply-accumulates; it is a share"),
        ("budget = { macs = 0.5 }\n[limits]\ntarget_ratio = 0.5", "both budget and limits.target_ratio say"),
        ("[limits]\nround_to = 'x'", "limits.round_to: invalid type: string"),
        ("[limits]\ntarget_ratio = 2.0", "target_ratio is 2"),
    ] {
        folder.write("cut.toml", config);
        let text = folder.ends(1, "prune @residual --config cut.toml -o none.pt2");
        assert!(text.starts_with(&format!("error: cut.toml: {says}")), "{text}");
    }
}

#[test]
fn layers_sides_and_roles_have_limits_of_their_own() {
    let folder = Folder::new();
    folder.write(
        "cut.toml",
        "[limits]\nignore = ['@head-dims']\n[[limits.overrides]]\ngroups = ['@heads']\ntarget_ratio = 0.25\n\
         [[limits.overrides]]\ngroups = ['up:out']\ntarget_ratio = 0.75\n",
    );
    let left = |done: &Value, name: &str| {
        let groups = done["reports"][0]["groups"].as_array().expect("a list").clone();
        let group = groups.into_iter().find(|group| group["name"] == name).expect("it is reported");
        (group["kept"].as_array().map(Vec::len).expect("a list"), group["reason"]["pattern"].clone())
    };
    let done = folder.json(0, "prune @transformer --config cut.toml -o small.pt2 --manifest cut.json");
    assert_eq!(left(&done, "attention.in_proj_weight:0/1"), (3, Value::Null));
    assert_eq!(left(&done, "attention.in_proj_weight:0/2"), (2, json!("@head-dims")));
    assert_eq!(left(&done, "up.weight:0"), (4, Value::Null));
    // A quarter of 4 heads and three quarters of 16 hidden units.
    assert_eq!(done["reports"][0]["target"], 13.0 / 20.0);
    assert_eq!(folder.json(0, "verify @transformer --manifest cut.json --pruned small.pt2")["passed"], true);

    let done = folder.json(0, "prune @transformer --ratio 0.5 --ignore=@heads --ignore up:out -o small.pt2");
    assert_eq!(left(&done, "attention.in_proj_weight:0/1"), (4, json!("@heads")));
    assert_eq!(left(&done, "attention.in_proj_weight:0/2"), (1, Value::Null));
    assert_eq!(left(&done, "up.weight:0"), (16, json!("up:out")));
    let done = folder.json(0, "prune @residual --ratio 0.5 --ignore narrow:in -o small.pt2");
    assert_eq!(left(&done, "wide.weight:0"), (12, json!("narrow:in")));
    let done = folder.json(0, "prune @residual --ratio 0.5 --ignore g0 -o small.pt2");
    assert_eq!(left(&done, "stem.weight:0").1, json!("g0"));

    for (config, says) in [
        (
            "groups = ['wid:out']",
            "overrides[0]: groups: `wid:out` matches no parameter that has an axis in a group; did you mean `wide:out`?",
        ),
        ("groups = ['@heads']", "overrides[0]: groups: `@heads` matches no group by its role; there are `@channels`\n"),
        (
            "groups = ['wide:up']",
            "`wide:up` matches no side or dimension of what is before its colon; there are `wide:in`, `wide:out`, `wide:0`, `wide:1`\n",
        ),
        ("groups = ['g99']", "`g99` matches no parameter that has an axis in a group; there are `stem.weight:0`, "),
        ("groups = ['wide']\ntarget_ratio = 1.0", "overrides[0]: target_ratio is 1"),
        ("groups = []", "overrides[0]: groups is empty"),
        ("groups = ['wide']\nratio = 0.5", "limits.overrides[0].ratio: unknown field `ratio`"),
        ("groups = ['wide']\nscope = 'all'", "limits.overrides[0].scope: unknown variant `all`"),
    ] {
        folder.write("cut.toml", format!("[[limits.overrides]]\n{config}"));
        let text = folder.ends(1, "prune @residual --config cut.toml -o none.pt2");
        assert!(text.starts_with("error: cut.toml: ") && text.contains(says), "{text}");
    }
}

#[test]
fn weights_are_read_over_those_of_a_model_and_written() {
    let folder = Folder::new();
    folder.ends(3, "prune @residual --ratio 0 -o same.pt2 --save-weights same.safetensors");
    folder.ends(0, "prune @residual --ratio 0.5 -o small.pt2");
    folder.ends(0, "prune @residual --ratio 0.5 -o over.pt2 --weights same.safetensors");
    assert_eq!(folder.read("over.pt2"), folder.read("small.pt2"));
    let text = folder.ends(1, "prune @modes --ratio 0.5 -o none.pt2 --weights same.safetensors");
    assert!(text.contains("same.safetensors: `bn.bias` is F32 [8], and the archive has f32[10]"), "{text}");
}

#[test]
fn bad_input_is_named_and_nothing_is_written() {
    let folder = Folder::new();
    let archive = std::fs::read(exported("residual")).expect("it is there");
    folder.write("short.pt2", &archive[..archive.len() / 2]);
    folder.write("bad.json", "{");
    std::fs::create_dir(folder.0.path().join("folder")).expect("it can be made");
    let before = folder.names();
    let cases = [
        ("prune none.pt2 -o out.pt2", "error: none.pt2: No such file or directory (os error 2)\n"),
        ("prune short.pt2 -o out.pt2", "short.pt2: no whole `.pt2` archive"),
        ("prune @residual -o out.pt2 --importance magnitud", "magnitude"),
        ("prune @residual -o out.pt2 --ignore hed", "did you mean `head"),
        (
            r#"prune @residual -o out.pt2 --importance {"importance":"magnitude","normaliser":"max"}"#,
            "importance `magnitude`: unknown field `normaliser` (did you mean `normalizer`?), expected one of ",
        ),
        ("prune @residual -o out.pt2 --config bad.json", "bad.json: "),
        ("prune @residual -o none/out.pt2", "none/out.pt2: there is no folder `none`; make it first"),
        ("prune @residual -o folder", "folder: it is a folder; name a file"),
        ("prune @residual -o out.pt2 --manifest none/cut.json", "none/cut.json: there is no folder"),
        ("prune @residual -o out.pt2 --report ./out.pt2", "./out.pt2: two options name this file"),
        ("prune @residual -o out.pt2 --weights bad.json", "bad.json: it is no safetensors file: "),
        ("prune @residual -o out.pt2 --plan bad.json", "bad.json: "),
        ("replay @residual bad.json -o out.pt2", "bad.json: "),
        ("inspect bad.json", "bad.json: "),
        ("stats @residual --inputs bad.json", "bad.json"),
        ("man nothing", "there is no command `nothing`"),
    ];
    let usage = [
        ("prune @residual", "--output <FILE>"),
        ("verify @residual --device tpu", "a device is cpu"),
        ("prune @residual -o out.pt2 --ratio 0.1 --macs 0.1", "cannot be used with '--macs"),
        ("prune @residual -o out.pt2 --ratio 0.1 --plan bad.json", "cannot be used with"),
        ("prune @residual -o out.pt2 --ratio 1.5", "'--ratio <RATIO>': it is a share, at least 0 and less than 1"),
        ("prune @residual -o out.pt2 --ratio nan", "'--ratio <RATIO>': it is a share"),
        ("prune @residual -o out.pt2 --params -1", "'--params <SHARE>': it is a share"),
        ("prune @residual -o out.pt2 --max-ratio 2", "at most 1"),
        ("prune @residual -o out.pt2 --round-to 0", "'--round-to <N>'"),
        ("verify @residual --ratio 2", "'--ratio <RATIO>': it is a share"),
        ("verify @residual --tolerance nan", "'--tolerance <SHARE>'"),
        ("man --json", "no JSON"),
    ];
    let cases = cases.map(|case| (1, case)).into_iter().chain(usage.map(|case| (2, case)));
    for (code, (arguments, says)) in cases {
        let text = folder.ends(code, arguments);
        assert!(text.starts_with("error: ") && text.contains(says), "{arguments}: {text}");
    }
    for (code, arguments) in [
        (1, "prune none.pt2 -o out.pt2"),
        (2, "prune @residual"),
        (4, "prune @residual --params 0.9 --min-channels 8 -o out.pt2"),
    ] {
        let failure = folder.json(code, arguments);
        let said = folder.ends(code, arguments);
        let error = failure["error"].as_str().expect("a text");
        assert!(
            said.starts_with(&format!("error: {}", error.split(": ").next().unwrap_or_default())),
            "{said} {error}"
        );
        assert_eq!(failure["exit_code"], code);
    }
    assert_eq!(folder.names(), before);
}

/// Zeros in every tensor.
struct Zeros<'g>(&'g Graph);

impl Source for Zeros<'_> {
    fn layout(&self, value: ValueId) -> Layout {
        let shape = &self.0.value(value).meta.shape;
        let strides = (0..shape.len()).map(|dim| shape[dim + 1..].iter().product()).collect();
        Layout { strides, requires_grad: false }
    }

    fn call(&self, _: &Node) -> Result<Call, Pt2Error> {
        Ok(Call { keywords: Vec::new(), returned: vec![Returned::Tensor] })
    }

    fn write(&self, value: ValueId, out: &mut dyn Write) -> io::Result<()> {
        let meta = &self.0.value(value).meta;
        let elements = meta.shape.iter().product::<i64>() as usize;
        out.write_all(&vec![0; elements * meta.dtype.bytes()])
    }
}

#[test]
fn a_model_that_libtorch_cannot_run_is_named_with_its_file() {
    let folder = Folder::new();
    let graph: Graph = "input v0: f32[2, 4] \"x\"\nparam v1: f32[8, 4] \"fc.weight\"\n\
         v2: f32[2, 8] = aten::linear(input=v0, weight=v1, bias=none)\nv3: f32[2, 8] = aten::twist(self=v2)\nreturn v3\n"
        .parse()
        .expect("the text is a graph");
    create(&graph, &Zeros(&graph), &folder.0.path().join("twist.pt2")).expect("it is written");
    folder.ends(0, "inspect twist.pt2");
    for command in ["prune twist.pt2 -o out.pt2", "stats twist.pt2", "verify twist.pt2"] {
        let text = folder.ends(1, command);
        assert!(text.starts_with("error: twist.pt2: n1 (aten::twist): libtorch has no operator"), "{command}: {text}");
    }
    assert_eq!(folder.names(), ["twist.pt2"]);
}

#[test]
fn neither_what_is_read_nor_what_is_no_file_is_replaced() {
    let folder = Folder::new();
    let model = std::fs::read(exported("residual")).expect("it is there");
    folder.write("model.pt2", &model);
    for arguments in
        ["-o model.pt2", "-o ./model.pt2", "-o small.pt2 --report model.pt2", "--dry-run --save-plan model.pt2"]
    {
        let text = folder.ends(1, &format!("prune model.pt2 {arguments}"));
        assert!(text.contains("model.pt2: the command reads this file; name another one"), "{arguments}: {text}");
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("model.pt2", folder.0.path().join("link.pt2")).expect("it can be made");
    #[cfg(unix)]
    for path in ["link.pt2", "/dev/null"] {
        let text = folder.ends(1, &format!("prune model.pt2 -o {path}"));
        assert!(text.contains("it is no regular file, and is not replaced"), "{text}");
    }
    assert_eq!(folder.read("model.pt2"), model);
    let text = folder.ends(0, "prune model.pt2 -o small.pt2");
    let last = text.lines().last().expect("there are lines");
    assert!(last.starts_with("small.pt2 is written: ") && last.contains("259 parameters (-59.6%)"), "{last}");
}

#[test]
fn a_cut_that_changes_statistics_is_compared_with_the_same_cut() {
    let folder = Folder::new();
    let net = Net::named("vit");
    net.module.save(&net.inputs, Mode::Eval, &folder.0.path().join("vit.pt2")).expect("it is saved");
    folder.ends(0, "prune vit.pt2 -o small.pt2 --manifest cut.json");
    folder.ends(0, "prune vit.pt2 -o other.pt2 --importance random");
    let verify = |code, model: &str| folder.json(code, &format!("verify vit.pt2 --manifest cut.json --pruned {model}"));
    let found = verify(0, "small.pt2");
    assert_eq!((&found["exact"], &found["reference"], &found["passed"]), (&json!(false), &json!("cut"), &json!(true)));
    assert_eq!(verify(5, "other.pt2")["passed"], false);
}

#[test]
fn a_cut_of_other_weights_is_replayed_and_verified_with_them() {
    let folder = Folder::new();
    folder.ends(0, "prune @residual --ratio 0.1 --importance random -o first.pt2 --save-weights first.safetensors");
    // Weights of the same shapes: those of another seed's cut.
    folder
        .ends(0, "prune @residual --ratio 0.1 --importance random --seed 3 -o second.pt2 --save-weights w.safetensors");
    folder.ends(0, "prune first.pt2 --weights w.safetensors -o small.pt2 --manifest cut.json");
    folder.ends(0, "replay first.pt2 cut.json --weights w.safetensors -o again.pt2");
    assert_eq!(folder.read("again.pt2"), folder.read("small.pt2"));
    let verify = "verify first.pt2 --manifest cut.json --pruned small.pt2";
    folder.ends(0, &format!("{verify} --weights w.safetensors"));
    folder.ends(5, verify);
}

#[test]
fn tables_are_plain_columns_in_a_pipe() {
    let folder = Folder::new();
    folder.ends(0, "prune @residual -o small.pt2");
    for (arguments, columns) in
        [("stats @residual --runs 0 --sort macs", 6), ("diff @residual small.pt2", 5), ("inspect @residual", 5)]
    {
        let text = folder.ends(0, arguments);
        assert!(!text.contains('\u{1b}') && !text.contains('…'), "{text}");
        let rows: Vec<Vec<_>> = text
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty())
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert!(rows.iter().all(|row| row.len() == columns), "{text}");
    }
    let stats = folder.ends(0, "stats @residual --runs 0 --sort macs");
    let macs = |line: &str| line.split_whitespace().nth(5).and_then(|macs| macs.parse().ok()).unwrap_or(0);
    let macs: Vec<u64> = stats.lines().skip(1).take_while(|line| !line.is_empty()).map(macs).collect();
    assert!(macs.is_sorted_by(|a, b| a >= b) && macs.iter().sum::<u64>() == 34_768, "{stats}");
    let mut forced = Command::cargo_bin("pruner").expect("the binary is built");
    let forced =
        forced.arg("inspect").arg(exported("residual")).env("CLICOLOR_FORCE", "1").output().expect("it is run");
    assert!(String::from_utf8_lossy(&forced.stdout).contains("\u{1b}[32mexact"));
    assert!(folder.ends(0, "diff @residual @residual").starts_with("every layer is the same"));
}

#[cfg(target_os = "linux")]
#[test]
fn tables_fit_a_terminal() {
    let folder = Folder::new();
    folder.ends(0, "prune @transformer -o small.pt2");
    let (program, model) = (assert_cmd::cargo::cargo_bin("pruner"), exported("transformer"));
    let (program, model) = (program.display(), model.display());
    for columns in [50, 80] {
        for arguments in
            ["inspect MODEL --all --members", "stats MODEL --runs 0", "diff MODEL small.pt2", "prune MODEL --dry-run"]
        {
            let arguments = arguments.replace("MODEL", &format!("'{model}'"));
            let script = format!("stty cols {columns} rows 40; NO_COLOR=1 '{program}' {arguments} 2>/dev/null");
            let mut command = Command::new("script");
            let output = command.current_dir(folder.0.path()).args(["-qec", &script, "/dev/null"]).output();
            let Ok(output) = output else { return };
            let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
            assert!(output.status.success() && text.lines().count() > 5, "{text}");
            let wide = text.lines().find(|line| line.chars().count() > columns);
            assert_eq!(wide, None, "{arguments} in {columns} columns");
        }
    }
}

#[test]
fn autocast_is_warned_of_where_the_model_is_run() {
    let folder = Folder::new();
    for (arguments, warnings) in [("stats @modes --runs 1", 1), ("verify @modes", 1), ("stats @modes --runs 0", 0)] {
        let output = folder.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(text.matches("warning: node `matmul` (").count(), warnings, "{arguments}: {text}");
    }
}

#[test]
fn help_manual_and_completions_tell_of_every_command() {
    let folder = Folder::new();
    let texts = ["--help", "man", "completions bash"].map(|arguments| folder.ends(0, arguments));
    for text in &texts {
        for command in ["inspect", "prune", "verify", "diff", "replay", "stats", "list"] {
            assert!(text.contains(command), "{command} is missing from {text}");
        }
    }
    assert!(texts[0].contains("4  the target cannot be met"), "{}", texts[0]);
    for command in ["inspect", "prune", "verify", "diff", "replay", "stats", "list", "completions", "man"] {
        let help = folder.ends(0, &format!("{command} --help"));
        assert!(help.contains(&format!("Examples:\n  pruner {command}")) || command == "replay", "{help}");
        assert!(help.lines().all(|line| !line.starts_with("  pruner") || line.len() < 80), "{help}");
    }
}
