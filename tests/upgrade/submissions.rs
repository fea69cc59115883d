//! Unfinished submissions of users, as `hcb submit` of 0.1.0 leaves them behind when it is interrupted.

use super::{argument, hcb_with, old, old_text, said};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The commands that 0.1.0 was run with, each with the record that it left. `/etc/hosts` is there on every machine,
/// and is not uploaded: there is no cluster to ask first.
const INTERRUPTED: [(&[&str], &str); 2] = [
    (
        &[
            "/etc/hosts",
            "--workload",
            "train-digits",
            "--param",
            "epochs=3",
        ],
        "train-digits-057467f8c277e5cc.json",
    ),
    (
        &[
            "--workload",
            "ml/train-digits",
            "--param",
            "seed=7",
            "--param",
            "epochs=20",
        ],
        "train-digits-207dc7e9479974fb.json",
    ),
];

#[test]
fn an_upload_that_0_1_0_began_is_gone_on_with() {
    for (arguments, record) in INTERRUPTED {
        let state = TempDir::new().expect("a folder");
        let folder = state.path().join("hcb/submissions");
        fs::create_dir_all(&folder).expect("a folder");
        let before = old_text(&format!("submissions/{record}"));
        fs::write(folder.join(record), &before).expect("a record");
        let kubeconfig = state.path().join("kubeconfig");
        // Nobody answers there, so that the submission is interrupted again.
        let nobody = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
            clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\n\
            contexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {}}]\n";
        fs::write(&kubeconfig, nobody).expect("a file");
        let spec = old("specs/seed");
        let spec = [
            "--spec",
            argument(&spec),
            "--endpoint",
            "https://s3.example.com",
        ];
        let words = [&["submit"], arguments, &spec].concat();
        let environment = [
            ("XDG_STATE_HOME", argument(state.path())),
            ("KUBECONFIG", argument(&kubeconfig)),
        ];
        let output = hcb_with(&words, &environment);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));

        let entries = fs::read_dir(&folder).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let is_record = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
        let records: Vec<_> = paths.filter(is_record).collect();
        // Another record would be another run, and the upload would begin anew.
        assert_eq!(records, [folder.join(record)], "{}", said(&output));
        let after = fs::read_to_string(&records[0]).expect("a record");
        assert_eq!(after, before);
    }
}
