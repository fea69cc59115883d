//! `--watch`: the same command again after each change to what it reads.
//!
//! What the system tells of changes decides when to check; what is read decides whether anything changed. So
//! no change is lost, whatever an editor does to a file, and what a round writes starts no other.

mod debounce;
mod folders;

use super::input::{Input, Overrides, Texts, templates};
use super::output::{Format, Outcome, OutputStyle};
use super::run::{self, Run};
use super::show;
use debounce::{Debounce, changes};
use folders::{Folders, Stamps};
use hcb_compile::compile::Memo;
use hcb_compile::compile::Timings;
use hcb_compile::manifest::Templates;
use hcb_source::diag::Diagnostics;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};
use tokio::signal::unix::{SignalKind, signal};

/// How often files are checked for changes of which no event came.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often the lock of Git is checked.
const GIT_EVERY: Duration = Duration::from_millis(10);
/// An older lock of Git is left over, or Git waits for a person.
const GIT_AT_MOST: Duration = Duration::from_secs(10);
/// Clears a terminal; what was there can be scrolled back to.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// What a command reports of a round.
#[derive(Debug, Default)]
pub(super) struct RoundResult {
    /// What it says, beside the findings.
    pub(super) messages: Vec<String>,
    /// What its JSON document has, beside the findings.
    pub(super) data: Map<String, Value>,
    /// Whether what is there is not what the spec says.
    pub(super) drifted: bool,
}

/// What wakes the watch.
enum Message {
    Event(notify::Event),
    /// Events were lost.
    Lost,
    Stop,
}

/// What a round reads.
struct Inputs {
    texts: Texts,
    overrides: Option<Overrides>,
    diagnostics: Diagnostics,
}

/// Runs until it is interrupted: reads, compiles, lets `finish` do what the command does, and shows all of
/// it, at once and after each change. Ends as the last round did.
///
/// Whatever is wrong with a round is shown, and the next change awaited. Only a spec that is not there to
/// begin with is a failure: it is a slip of the keyboard, as a rule.
pub(super) fn watch(
    input: &Input,
    style: OutputStyle,
    mut finish: impl FnMut(&mut Run) -> anyhow::Result<RoundResult>,
) -> anyhow::Result<Outcome> {
    input.find()?;
    let (sender, receiver) = channel();
    stop_on_signals(sender.clone())?;
    let folders = Folders::new(move |event| {
        // There is nobody to tell once the watch is over.
        let _ = sender.send(event.map_or(Message::Lost, Message::Event));
    })?;
    let mut watch = Watch {
        receiver,
        folders,
        stamps: Stamps::default(),
        debounce: Debounce::default(),
    };
    if style.format == Format::Text {
        show::say(&format!(
            "watching `{}`; Ctrl-C ends it",
            input.spec.display()
        ));
    }
    let mut kept = None;
    let mut last: Option<Result<Inputs, String>> = None;
    let mut outcome = Outcome::Ok;
    let mut begun = Instant::now();
    let mut touched = BTreeSet::new();
    loop {
        let read = watch.read(input);
        let is_due = match (&last, &read) {
            (Some(Ok(before)), Ok(now)) => !before.is_same(now) || now.has_one_of(&touched),
            (Some(Err(before)), Err(now)) => before != now,
            _ => true,
        };
        if is_due {
            let told = |error: anyhow::Error| format!("{error:#}");
            let run = match &read {
                Ok(inputs) => compile(&mut kept, input, inputs).map_err(told),
                Err(problem) => Err(problem.clone()),
            };
            let (run, result) = match run {
                Ok(mut run) => {
                    let result = finish(&mut run).map_err(told);
                    (Some(run), result)
                }
                Err(problem) => (None, Err(problem)),
            };
            outcome = show_round(run.as_ref(), result, begun, style)?;
            last = Some(read);
            // Nobody waits for that.
            if let Some(kept) = &mut kept {
                kept.memo.end_run();
            }
        }
        let Some(next) = watch.wait(&input.spec) else {
            return Ok(outcome);
        };
        (begun, touched) = next;
    }
}

struct Watch {
    receiver: Receiver<Message>,
    folders: Folders,
    stamps: Stamps,
    debounce: Debounce,
}

impl Watch {
    /// Reads what there is, with all folders watched before they are read.
    fn read(&mut self, input: &Input) -> Result<Inputs, String> {
        loop {
            let mut folders = BTreeSet::new();
            let read = Inputs::read(input, &mut folders);
            let is_new = self.folders.cover(&folders);
            let mut paths: BTreeSet<&Path> = folders.iter().map(PathBuf::as_path).collect();
            paths.insert(&input.spec);
            if let Ok(inputs) = &read {
                paths.extend(
                    inputs
                        .texts
                        .sources
                        .iter()
                        .map(|(_, file)| file.path.as_path()),
                );
                paths.extend(
                    inputs
                        .overrides
                        .iter()
                        .map(|overrides| overrides.folder.as_path()),
                );
            }
            self.stamps = Stamps::of(paths.into_iter());
            if !is_new {
                return read.map_err(|error| format!("{error:#}"));
            }
        }
    }

    /// Waits for changes until they are over: since when they are, and what they are of. `None` when it is
    /// to end.
    fn wait(&mut self, spec: &Path) -> Option<(Instant, BTreeSet<PathBuf>)> {
        let mut next_check = Instant::now() + CHECK_EVERY;
        loop {
            let until = self.debounce.due().unwrap_or(next_check);
            let message = self
                .receiver
                .recv_timeout(until.saturating_duration_since(Instant::now()));
            let now = Instant::now();
            match message {
                Ok(Message::Event(event)) => {
                    for change in changes(&event) {
                        self.note(change, now);
                    }
                }
                Ok(Message::Lost) => self.note(debounce::Change::Missed, now),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if self.debounce.due().is_some() {
                        if is_git_at_work(spec) {
                            std::thread::sleep(GIT_EVERY);
                            continue;
                        }
                        return self.debounce.take();
                    }
                    if self.stamps.again() != self.stamps {
                        // What is watched may be something else by now.
                        self.folders.note(&debounce::Change::Missed);
                        return Some((now, BTreeSet::new()));
                    }
                    next_check = now + CHECK_EVERY;
                }
            }
        }
    }

    fn note(&mut self, change: debounce::Change, now: Instant) {
        self.folders.note(&change);
        self.debounce.note(change, now);
    }
}

impl Inputs {
    fn read(input: &Input, folders: &mut BTreeSet<PathBuf>) -> anyhow::Result<Self> {
        let mut diagnostics = Diagnostics::default();
        // Both name their folders, whether or not they can be read.
        let overrides = input.overrides(folders);
        let texts = input.search(folders, &mut diagnostics)?;
        Ok(Self {
            texts,
            overrides: overrides?,
            diagnostics,
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        let texts = self.texts.sources.iter().map(|(_, file)| file);
        let others = other.texts.sources.iter().map(|(_, file)| file);
        texts.eq(others) && self.overrides == other.overrides
    }

    /// Whether any of these paths, which are absolute, is read.
    fn has_one_of(&self, paths: &BTreeSet<PathBuf>) -> bool {
        let is_among =
            |path: &Path| std::path::absolute(path).is_ok_and(|path| paths.contains(&path));
        let texts = &self.texts.sources;
        texts.iter().any(|(_, file)| is_among(&file.path))
            || self.overrides.iter().any(|overrides| {
                let files = overrides.texts.keys();
                files
                    .map(|path| overrides.folder.join(path))
                    .any(|path| is_among(&path))
            })
    }
}

/// What rounds leave for the next.
struct Kept {
    overrides: Option<Overrides>,
    templates: Templates,
    memo: Memo,
}

/// Compiles what was read, with what earlier rounds left.
fn compile(kept: &mut Option<Kept>, input: &Input, inputs: &Inputs) -> anyhow::Result<Run> {
    let mut timings = Timings::default();
    let same = kept
        .take()
        .filter(|kept| kept.overrides == inputs.overrides);
    let with = match same {
        Some(kept) => kept,
        None => Kept {
            overrides: inputs.overrides.clone(),
            templates: timings.measure("templates", || templates(inputs.overrides.as_ref()))?,
            memo: Memo::empty(),
        },
    };
    let run = run::compile(
        inputs.texts.clone(),
        &with.templates,
        input.options(),
        &with.memo,
        inputs.diagnostics.clone(),
        timings,
    );
    *kept = Some(with);
    Ok(run)
}

/// Shows a round, at once as a whole, and says how it ended.
fn show_round(
    run: Option<&Run>,
    result: Result<RoundResult, String>,
    begun: Instant,
    style: OutputStyle,
) -> anyhow::Result<Outcome> {
    let is_fine = result.is_ok() && run.is_some_and(|run| run.output.is_some());
    let drifted = result.as_ref().is_ok_and(|round| round.drifted);
    let outcome = if is_fine && !drifted {
        Outcome::Ok
    } else {
        Outcome::Findings
    };
    let now = jiff::Zoned::now();
    if style.format == Format::Json {
        let mut document = Map::from_iter([
            ("time".to_owned(), format!("{:.3}", now.timestamp()).into()),
            ("valid".to_owned(), is_fine.into()),
        ]);
        match result {
            Ok(round) => document.extend(round.data),
            Err(problem) => {
                document.insert("error".to_owned(), problem.into());
            }
        }
        let findings = run.map_or_else(|| json!([]), Run::findings);
        document.insert("findings".to_owned(), findings);
        let seconds = begun.elapsed().as_secs_f64();
        document.insert("seconds".to_owned(), seconds.into());
        show::data(&format!("{}\n", Value::Object(document)))?;
        return Ok(outcome);
    }
    let mut text = String::new();
    if std::io::stderr().is_terminal() {
        text.push_str(CLEAR);
    }
    if let Some(run) = run {
        text.push_str(&show::rendered(&run.diagnostics, &run.texts.sources, style));
    }
    let messages = result.map_or_else(
        |problem| vec![format!("error: {problem}")],
        |round| round.messages,
    );
    for message in messages {
        text.push_str(&message);
        text.push('\n');
    }
    let counts = match run {
        Some(run) => show::counts(&run.diagnostics).unwrap_or_else(|| "no findings".to_owned()),
        None => "nothing was checked".to_owned(),
    };
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    let _ = writeln!(
        text,
        "{} {counts} in {took:.0} ms",
        now.strftime("%H:%M:%S")
    );
    // When nobody listens, that is no reason to stop.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    Ok(outcome)
}

/// Whether Git is changing the files of the repository that the spec is in: what a checkout has done by half
/// is not what anybody wrote.
fn is_git_at_work(spec: &Path) -> bool {
    let Some(root) = super::input::repository_root(spec) else {
        return false;
    };
    let marker = root.join(".git");
    // In a linked working tree, it is a file that says where its folder is.
    let folder = std::fs::read_to_string(&marker)
        .ok()
        .and_then(|text| Some(root.join(text.strip_prefix("gitdir:")?.trim())))
        .unwrap_or(marker);
    let made = std::fs::metadata(folder.join("index.lock")).and_then(|lock| lock.modified());
    made.is_ok_and(|made| {
        let age = SystemTime::now().duration_since(made);
        age.is_ok_and(|age| age < GIT_AT_MOST)
    })
}

/// Sends word when the process is to end. Who cannot wait for a round to end says so twice.
fn stop_on_signals(sender: Sender<Message>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = runtime.block_on(async {
        std::io::Result::Ok((
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ))
    })?;
    std::thread::spawn(move || {
        let mut next = || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
        };
        next();
        let _ = sender.send(Message::Stop);
        next();
        // 128 and the number of the signal, as shells say it.
        std::process::exit(130);
    });
    Ok(())
}
