//! How fast hcb uploads, beside standard clients, to the same S3 server on loopback in turn, and how much
//! memory each takes:
//!
//! ```text
//! cargo run --release -p hcb-testbed --example upload -- [MEBIBYTES] [ROUNDS]
//! ```
//!
//! The others: boto3 with its defaults and with ten and more threads, and `aws s3 cp` where the AWS CLI is
//! installed. Not a test: seconds depend on the machine; the ratio, in one run, says something.

use anyhow::{Context, Result, ensure};
use hcb_testbed::store::{self, ACCESS_KEY, SECRET_KEY};
use hcb_testbed::{python, say};
use hcb_transfer::layout::Place;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BUCKET: &str = "bench";
/// The least share of the fastest one's speed that hcb should reach.
const GOAL: f64 = 0.7;
const BOTO3: &str = "import sys, boto3
from boto3.s3.transfer import TransferConfig
threads = int(sys.argv[3])
config = TransferConfig(max_concurrency=threads, multipart_chunksize=16 << 20) if threads else TransferConfig()
boto3.client('s3').upload_file(sys.argv[1], 'bench', sys.argv[2], Config=config)";

/// The command that uploads a file to a key.
type Uploader = Box<dyn Fn(&Path, &str) -> Command>;

struct Client {
    name: &'static str,
    command: Uploader,
    seconds: Vec<f64>,
    /// The most memory that it had, in MiB.
    peak: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [first, url, file, key] = &arguments[..]
        && first == "--one"
    {
        let place = Place {
            bucket: BUCKET.to_owned(),
            key: key.clone(),
        };
        store::put(url, Path::new(file), &place).await?;
        return Ok(());
    }
    let number = |index: usize, default: u64| {
        let text = arguments.get(index);
        text.map_or(Ok(default), |text| text.parse())
    };
    let (mebibytes, rounds) = (number(0, 1024)?, number(1, 3)?);
    let (folder, store) = store::start(&[BUCKET]).await?;
    let file = folder.path().join("data");
    write(&file, mebibytes)?;
    let mut clients = clients(&store.url)?;
    for round in 0..rounds {
        for client in &mut clients {
            let key = format!("{}-{round}", client.name.replace(' ', "-"));
            let (seconds, peak) = run((client.command)(&file, &key))?;
            let object = store.file(BUCKET, &key);
            ensure!(
                fs::metadata(&object)?.len() == mebibytes << 20,
                "{} did not upload all of it",
                client.name
            );
            fs::remove_file(object)?;
            say(&format!(
                "{}: {:.0} MiB/s",
                client.name,
                mebibytes as f64 / seconds
            ));
            client.seconds.push(seconds);
            client.peak = client.peak.max(peak);
        }
    }
    report(&mut clients, mebibytes)
}

/// Random bytes: a file system that compresses must not help.
fn write(path: &Path, mebibytes: u64) -> Result<()> {
    let mut file = File::create(path)?;
    let mut block = vec![0; 1 << 20];
    for _ in 0..mebibytes {
        rand::fill(&mut block[..]);
        file.write_all(&block)?;
    }
    file.sync_all()?;
    Ok(())
}

fn clients(url: &str) -> Result<Vec<Client>> {
    let own = std::env::current_exe()?;
    let url = url.to_owned();
    let client = |name, command: Uploader| Client {
        name,
        command,
        seconds: Vec::new(),
        peak: 0.0,
    };
    let endpoint = url.clone();
    let mut clients = vec![client(
        "hcb",
        Box::new(move |file, key| {
            let mut command = Command::new(&own);
            command.args(["--one", &endpoint]).arg(file).arg(key);
            command
        }),
    )];
    if let Some(python) = python::python()? {
        for (name, threads) in [
            ("boto3", "0"),
            ("boto3 4 threads", "4"),
            ("boto3 20 threads", "20"),
        ] {
            let (python, url) = (python.clone(), url.clone());
            clients.push(client(
                name,
                Box::new(move |file, key| {
                    let mut command = Command::new(&python);
                    command.args(["-c", BOTO3]).arg(file).args([key, threads]);
                    account(&mut command, &url);
                    command
                }),
            ));
        }
    }
    if Command::new("aws").arg("--version").output().is_ok() {
        clients.push(client(
            "aws s3 cp",
            Box::new(move |file, key| {
                let mut command = Command::new("aws");
                command.args(["s3", "cp", "--only-show-errors"]).arg(file);
                command.arg(format!("s3://{BUCKET}/{key}"));
                account(&mut command, &url);
                command
            }),
        ));
    }
    Ok(clients)
}

fn account(command: &mut Command, url: &str) {
    command
        .env("AWS_ENDPOINT_URL_S3", url)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_DEFAULT_REGION", "us-east-1");
}

/// Runs a command: the seconds that it took, and the most memory that it had, in MiB.
fn run(mut command: Command) -> Result<(f64, f64)> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0.0_f64;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        peak = peak.max(high_water(&status).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    };
    ensure!(ended.success(), "{command:?}: {ended}");
    Ok((start.elapsed().as_secs_f64(), peak))
}

/// `VmHWM` of a process, in MiB.
fn high_water(status: &Path) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

fn report(clients: &mut [Client], mebibytes: u64) -> Result<()> {
    let mut speeds = Vec::new();
    for client in &mut *clients {
        client.seconds.sort_by(f64::total_cmp);
        let median = client.seconds[client.seconds.len() / 2];
        speeds.push(mebibytes as f64 / median);
    }
    let own = *speeds.first().context("hcb")?;
    let others = speeds.iter().skip(1).copied();
    let fastest = others
        .max_by(f64::total_cmp)
        .context("no other client is here")?;
    let mut text = format!(
        "{mebibytes} MiB, median of {}\n\n",
        clients[0].seconds.len()
    );
    text.push_str(
        "| client | MiB/s | of hcb's speed | most memory |\n| --- | ---: | ---: | ---: |\n",
    );
    for (client, speed) in clients.iter().zip(&speeds) {
        let _ = writeln!(
            text,
            "| {} | {speed:.0} | {:.2} | {:.0} MiB |",
            client.name,
            speed / own,
            client.peak
        );
    }
    let ratio = own / fastest;
    let _ = writeln!(
        text,
        "\nhcb reaches {:.0} % of the fastest other; the goal is {:.0} %",
        ratio * 100.0,
        GOAL * 100.0
    );
    std::io::stdout().write_all(text.as_bytes())?;
    ensure!(ratio >= GOAL, "too slow");
    Ok(())
}
