//! Downloads with progress.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};

/// Brings `url` to the file `to` and checks that all of it came.
pub(crate) fn fetch(url: &str, to: &Path) -> anyhow::Result<()> {
    let config = ureq::Agent::config_builder().timeout_connect(Some(Duration::from_secs(30))).build();
    let response =
        ureq::Agent::new_with_config(config).get(url).call().with_context(|| format!("cannot fetch {url}"))?;
    let bytes = response.body().content_length();
    let mut reader = response.into_body().into_reader();
    let written = copy(&mut reader, to, bytes).with_context(|| format!("cannot fetch {url} to {}", to.display()))?;
    ensure!(bytes.is_none_or(|bytes| bytes == written), "{url} broke off after {written} bytes: run this again");
    Ok(())
}

/// A bar that counts bytes, or turns when their number is not known.
pub(crate) fn bar(bytes: Option<u64>) -> ProgressBar {
    let template = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    match bytes {
        Some(bytes) => ProgressBar::new(bytes)
            .with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())),
        None => ProgressBar::new_spinner(),
    }
}

fn copy(from: &mut impl Read, to: &Path, bytes: Option<u64>) -> io::Result<u64> {
    let bar = bar(bytes);
    let copied = io::copy(&mut bar.wrap_read(from), &mut File::create(to)?);
    bar.finish_and_clear();
    copied
}
