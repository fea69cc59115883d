//! The command line, which is that of `hcb reconcile`.

use hcb_reconciler::runtime::start::Start;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What `--help` says.
pub(crate) const USAGE: &str = "\
Lets jobs leave the first tier only when they fit in it no more.

Usage: hcb-reconciler --config FILE [--dry-run] [--listen ADDRESS:PORT] [--record FILE]
       hcb-reconciler --config FILE --open-if-down
       hcb-reconciler --replay FILE [--config FILE]

  --config FILE          the configuration, as `hcb compile` writes it
  --dry-run              only say what would be done
  --listen ADDRESS:PORT  where metrics, health and status are served; default: port 8080 of every address
  --record FILE          record all that is seen and decided in a new file
  --open-if-down         if no reconciler runs, open the gates of the first tier and, where the configuration says
                         so, release all that waits; then end
  --replay FILE          decide all of a record again, without any cluster; exit 1 where something else is decided
  --help, --version";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Say how it is called.
    Help,
    /// Say which version it is.
    Version,
    /// Decide a record again, with its own configuration or another.
    Replay {
        /// The record.
        record: PathBuf,
        /// The other configuration.
        config: Option<PathBuf>,
    },
    /// Reconcile.
    Run(Start),
}

/// Why a command line is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    /// There is no such argument.
    #[error("`{0}` is not known")]
    Unknown(String),
    /// An argument stands there twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// An argument needs a value.
    #[error("{0} needs a value")]
    NoValue(&'static str),
    /// An argument takes no value.
    #[error("{0} takes no value")]
    Value(&'static str),
    /// The value of `--listen` is no address.
    #[error("--listen: `{0}` is not ADDRESS:PORT")]
    NoAddress(String),
    /// There is no configuration.
    #[error("--config is missing")]
    NoConfig,
    /// Two arguments exclude each other.
    #[error("{0} cannot be used with {1}")]
    Excluded(&'static str, &'static str),
}

const VALUES: [&str; 4] = ["--config", "--listen", "--record", "--replay"];
const FLAGS: [&str; 2] = ["--dry-run", "--open-if-down"];

/// Reads a command line, without the name of the program.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, ArgumentError> {
    let mut words = words.into_iter();
    let mut values: [Option<OsString>; 4] = Default::default();
    let mut flags = [false; 2];
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(OsString::from(value))),
            None => (text, None),
        };
        match name.as_str() {
            "--help" | "-h" => return Ok(Request::Help),
            "--version" | "-V" => return Ok(Request::Version),
            _ => {}
        }
        if let Some(index) = VALUES.iter().position(|known| *known == name) {
            let value = value.or_else(|| words.next());
            let value = value.ok_or(ArgumentError::NoValue(VALUES[index]))?;
            if values[index].replace(value).is_some() {
                return Err(ArgumentError::Twice(VALUES[index]));
            }
        } else if let Some(index) = FLAGS.iter().position(|known| *known == name) {
            if value.is_some() {
                return Err(ArgumentError::Value(FLAGS[index]));
            }
            flags[index] = true;
        } else {
            return Err(ArgumentError::Unknown(name));
        }
    }
    let [config, listen, record, replay] = values;
    let [dry_run, open_if_down] = flags;
    for (is_first, first) in [
        (replay.is_some(), "--replay"),
        (open_if_down, "--open-if-down"),
    ] {
        let others = [
            (dry_run, "--dry-run"),
            (listen.is_some(), "--listen"),
            (record.is_some(), "--record"),
            (open_if_down && first != "--open-if-down", "--open-if-down"),
        ];
        if let Some((_, other)) = others
            .into_iter()
            .find(|(is_there, _)| is_first && *is_there)
        {
            return Err(ArgumentError::Excluded(first, other));
        }
    }
    let config = config.map(PathBuf::from);
    if let Some(record) = replay {
        let record = record.into();
        return Ok(Request::Replay { record, config });
    }
    let listen = listen.map(|listen| {
        let listen = listen.to_string_lossy();
        let no_address = |_| ArgumentError::NoAddress(listen.clone().into_owned());
        listen.parse::<SocketAddr>().map_err(no_address)
    });
    let listen = listen.transpose()?;
    Ok(Request::Run(Start {
        path: config.ok_or(ArgumentError::NoConfig)?,
        dry_run,
        listen,
        record: record.map(PathBuf::from),
        open_if_down,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, ArgumentError> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn plain() -> Start {
        Start {
            path: "a.yaml".into(),
            dry_run: false,
            listen: None,
            record: None,
            open_if_down: false,
        }
    }

    #[test]
    fn a_value_stands_behind_an_equals_sign_or_is_the_next_word() {
        for line in ["--config=a.yaml", "--config a.yaml"] {
            assert_eq!(parsed(line), Ok(Request::Run(plain())));
        }
        let all = "--config a.yaml --dry-run --listen 127.0.0.1:1 --record=run.jsonl";
        let expected = Start {
            dry_run: true,
            listen: Some(([127, 0, 0, 1], 1).into()),
            record: Some("run.jsonl".into()),
            ..plain()
        };
        assert_eq!(parsed(all), Ok(Request::Run(expected)));
    }

    #[test]
    fn a_record_is_replayed_with_its_own_configuration_or_another() {
        let replay = |config: Option<&str>| Request::Replay {
            record: "run.jsonl".into(),
            config: config.map(PathBuf::from),
        };
        assert_eq!(parsed("--replay run.jsonl"), Ok(replay(None)));
        assert_eq!(
            parsed("--replay run.jsonl --config b.yaml"),
            Ok(replay(Some("b.yaml")))
        );
    }

    #[test]
    fn a_command_line_that_makes_no_sense_is_refused() {
        for (line, error) in [
            ("", ArgumentError::NoConfig),
            ("--config", ArgumentError::NoValue("--config")),
            ("--dry-run=yes", ArgumentError::Value("--dry-run")),
            ("--config a --config b", ArgumentError::Twice("--config")),
            ("--confg a", ArgumentError::Unknown("--confg".into())),
            (
                "--config a --listen 8080",
                ArgumentError::NoAddress("8080".into()),
            ),
            (
                "--replay a --dry-run",
                ArgumentError::Excluded("--replay", "--dry-run"),
            ),
            (
                "--config a --open-if-down --record b",
                ArgumentError::Excluded("--open-if-down", "--record"),
            ),
        ] {
            assert_eq!(parsed(line), Err(error), "{line}");
        }
    }
}
