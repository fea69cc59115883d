//! The pages of the codes show findings that hcb really prints.

use hcb::diag::codes;
use std::fs;
use std::path::Path;

#[test]
fn every_example_of_a_page_is_a_finding_of_a_case() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let findings: Vec<String> = fs::read_dir(cases)
        .expect("the cases")
        .map(|case| {
            fs::read_to_string(case.expect("a case").path().join("findings.txt")).expect("findings")
        })
        .collect();
    let mut examples = 0;
    for code in codes::ALL {
        let page = code.page();
        assert!(page.contains("## How to mend it"), "{}", code.id());
        let Some((_, rest)) = page.split_once("```text\n") else {
            continue;
        };
        let (example, _) = rest.split_once("\n```").expect("the end of the example");
        assert!(
            example.contains(&format!("[{}]", code.id())),
            "{}",
            code.id()
        );
        let is_real = findings.iter().any(|findings| findings.contains(example));
        assert!(
            is_real,
            "docs/codes/{}.md shows what is not printed:\n{example}",
            code.id()
        );
        examples += 1;
    }
    assert!(examples > 35, "only {examples} pages have an example");
}
