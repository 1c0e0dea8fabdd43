//! What the exit codes of commands mean.

/// What `--help` says of them. Success is 0, an error 1, and clap itself ends with 2.
pub(crate) const HELP: &str = "Exit codes:
  0  done; for `prune`: something was cut
  1  bad input: the message names the file, node or option
  2  wrong usage
  3  nothing was cut
  4  the target cannot be met
  5  the verification failed";

/// Nothing was cut.
pub(crate) const NOTHING_PRUNED: u8 = 3;
/// The target cannot be met.
pub(crate) const INFEASIBLE: u8 = 4;
/// The verification failed.
pub(crate) const UNVERIFIED: u8 = 5;
