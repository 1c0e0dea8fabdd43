//! The page of a run, looked at in a real browser: all of it is drawn, and nothing is cut off on a small or a large screen.
//!
//! It needs Chromium or Chrome. Where there is none it says so and passes, unless `PRUNER_BROWSER` names one or is empty, which asks for it.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Net, settings};
use pruner::events::Cost;
use pruner::iterative::{Closures, IterativePruning, IterativeSettings, Network};
use pruner::optim::{Sgd, SgdSettings};
use pruner::page::page;
use pruner::plan::Limits;
use pruner::pruner::GroupPruner;
use serde_json::Value;

/// The browser that is asked for, or one that is there.
fn browser() -> Option<PathBuf> {
    const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let found = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).flat_map(|dir| NAMES.map(|name| dir.join(name))).find(|file| file.is_file())
    };
    match std::env::var_os("PRUNER_BROWSER") {
        Some(name) if !name.is_empty() => Some(name.into()),
        Some(_) => {
            Some(found().expect("a browser is asked for, and none of chromium and google-chrome is on the path"))
        }
        None => found(),
    }
}

/// What a script of the test measures of a page on a screen of this width.
const MEASURE: &str = "
<script>
addEventListener('load', () => {
  const box = element => { const { left, right, width, height } = element.getBoundingClientRect(); return { left, right, width, height }; };
  const all = selector => [...document.querySelectorAll(selector)];
  const style = getComputedStyle(document.querySelector('.card'));
  const found = {
    screen: innerWidth,
    wide: document.documentElement.scrollWidth,
    charts: all('figure svg').map(box),
    texts: all('figure svg text').map(text => text.textContent.trim()),
    circles: all('figure svg circle').length,
    skipped: all('tr.skipped').length,
    cards: all('.card').map(box),
    bars: all('.layers tbody tr').map(row => [box(row.querySelector('.before')).width, box(row.querySelector('.after')).width]),
    styled: style.borderTopWidth !== '0px' && style.borderTopLeftRadius !== '0px',
    fetched: performance.getEntriesByType('resource').length,
  };
  const out = document.createElement('pre');
  out.id = 'found';
  out.textContent = JSON.stringify(found);
  document.body.append(out);
});
</script>";

/// What the browser makes of a page on a screen of this width.
fn look(browser: &Path, dir: &Path, html: &str, width: u32) -> Value {
    let file = dir.join(format!("page-{width}.html"));
    std::fs::write(&file, html.replace("</body>", &format!("{MEASURE}</body>"))).expect("it is written");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--dump-dom", "--virtual-time-budget=2000"])
        .arg(format!("--window-size={width},1000"))
        .arg(format!("--user-data-dir={}", dir.join(format!("profile-{width}")).display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("the browser starts");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = dom.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (found, _) = found.unwrap_or_else(|| panic!("{}\n{dom}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(&found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")).expect("it is JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn all_of_the_page_is_drawn_on_a_small_and_a_large_screen() {
    let Some(browser) = browser() else {
        eprintln!("no browser is on the path: the page is not looked at");
        return;
    };
    let mut net = Net::mlp(&[6, 64, 32, 16, 4]);
    let settings = settings(0.5).with_steps(12).with_limits(Limits::new(0.5).with_round_to(8));
    let pruner = GroupPruner::new(&net.module, settings).expect("the network can be pruned");
    let mut optimizer = Sgd::new(net.module.parameters(), SgdSettings::default());
    let mut iterative = IterativePruning::new(pruner, IterativeSettings::default().with_measure("accuracy"))
        .expect("the settings are sound");
    let cost = Cost { seconds: 12.0, samples: 1000, macs: 1_000_000, joules: None };
    let mut quality = 0.9;
    let mut training = Closures::new(
        |_: &mut Network<'_>, _| Ok(cost),
        |_: &mut Network<'_>| {
            quality -= 0.004;
            Ok(quality)
        },
    );
    let mut network = Network { module: &mut net.module, optimizer: &mut optimizer };
    iterative.run(&mut network, &mut training).expect("the run comes to its end");
    let history = iterative.history();
    let (summary, widths) = (history.summary(), history.widths());
    let html = page("A run of the test", history);
    let dir = tempfile::tempdir().expect("a folder");
    for width in [500, 1400] {
        let found = look(&browser, dir.path(), &html, width);
        assert!(number(&found["wide"]) <= number(&found["screen"]), "nothing sticks out: {found}");
        assert_eq!(found["styled"], true, "{found}");
        assert_eq!(found["fetched"], 0, "nothing is asked for");
        let charts = found["charts"].as_array().expect("charts");
        assert_eq!(charts.len(), 2);
        for chart in charts {
            assert!(number(&chart["width"]) > 500.0 && number(&chart["height"]) > 150.0, "{chart}");
        }
        assert!(number(&found["circles"]) >= (2 * summary.steps_pruned + summary.steps) as f64, "{found}");
        let texts = found["texts"].as_array().expect("texts");
        assert!(["accuracy", "MACs", "step"].iter().all(|text| texts.iter().any(|found| found == text)), "{found}");
        assert_eq!(found["skipped"], summary.epochs_skipped);
        for card in found["cards"].as_array().expect("cards") {
            assert!(number(&card["right"]) <= number(&found["screen"]), "{card}");
        }
        let bars = found["bars"].as_array().expect("bars");
        let cut: Vec<_> = widths.iter().filter(|width| width.after < width.before).collect();
        assert_eq!(bars.len(), cut.len());
        for (bar, width) in bars.iter().zip(cut) {
            let (drawn, expected) = (number(&bar[1]) / number(&bar[0]), width.after as f64 / width.before as f64);
            assert!((drawn - expected).abs() < 0.02, "{}: {drawn} where {expected} is left", width.name);
        }
    }
}
