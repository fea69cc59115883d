//! Records of 0.1.0, of a real run on real API servers, are decided as they were.

use hcb_reconciler::core::record::compare;
use hcb_reconciler::engine::registry;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

#[test]
fn records_of_an_earlier_release_are_decided_as_they_were() {
    let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/upgrade/0.1.0/records");
    for name in ["first.jsonl", "second.jsonl"] {
        let file = File::open(records.join(name)).expect("a record");
        let pacing_of = |config: &_| registry::of(config).pacing();
        let mut lines = 0;
        let compared = compare(BufReader::new(file), pacing_of, None, |_| lines += 1);
        let compared = compared.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            compared.decisions > 10 && lines > 0,
            "{name}: {lines} lines"
        );
        let different: Vec<_> = compared.different.iter().map(|other| other.at).collect();
        assert_eq!(different, [], "{name}");
    }
}
