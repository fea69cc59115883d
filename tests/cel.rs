//! CEL and policies compared with the answers of a real API server, which are recorded in
//! `tests/cel/answers`. The testbed's test `parity` records them.

mod common;

use common::cel::{Answer, Topic, evaluate, is_right, topics};
use hcb_cel::{Activation, Environment, Program, Type, Value};
use hcb_compile::policy::admission::AdmissionPolicy;
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use hcb_source::yaml;
use proptest::prelude::*;
use rayon::prelude::*;
use std::fmt::Write;
use std::path::Path;

#[test]
fn hcb_answers_as_the_api_server_did() {
    let mut wrong = Vec::new();
    for topic in topics() {
        // Each case of costs takes a million steps: without optimizations every third pair will do,
        // and the testbed tries them all.
        let is_tried =
            |index: usize| !cfg!(debug_assertions) || topic.file != "cost" || index % 6 < 2;
        let answers: Vec<Option<Answer>> = topic
            .cases
            .par_iter()
            .enumerate()
            .map(|(index, case)| is_tried(index).then(|| evaluate(case)))
            .collect();
        for (case, ours) in topic.cases.iter().zip(answers) {
            let Some(ours) = ours else {
                continue;
            };
            let said = topic.answers.get(&case.name);
            if !said.is_some_and(|said| is_right(case, &ours, said)) {
                wrong.push(format!(
                    "{}: {}\n  API server: {said:?}\n  hcb:        {ours:?}",
                    case.name, case.title
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} answers differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_documentation_lists_all_cases_functions_and_divergences() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cel.md");
    let text = std::fs::read_to_string(&path).expect("docs/cel.md");
    let (begin, end) = ("<!-- cases -->\n", "<!-- end of cases -->\n");
    let (head, rest) = text.split_once(begin).expect("where the table begins");
    let (_, tail) = rest.split_once(end).expect("where the table ends");
    let expected = format!("{head}{begin}\n{}\n{end}{tail}", table(&topics()));
    if std::env::var_os("HCB_UPDATE").is_some() {
        std::fs::write(&path, &expected).expect("docs/cel.md");
    } else {
        assert_eq!(text, expected, "run HCB_UPDATE=1 cargo test --test cel");
    }
    let missing: Vec<_> = Environment::new()
        .functions()
        .into_iter()
        .filter(|name| !text.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "docs/cel.md does not name {missing:?}");
    for case in topics().iter().flat_map(|topic| &topic.cases) {
        if let Some(reason) = &case.divergence {
            assert!(
                text.contains(reason.as_str()),
                "docs/cel.md does not say: {reason}"
            );
        }
    }
}

/// A row for each file of cases.
fn table(topics: &[Topic]) -> String {
    let mut table = String::from(
        "| cases | about | number | allowed | denied | refused |\n|---|---|---|---|---|---|\n",
    );
    let mut total = [0; 4];
    for topic in topics {
        let count =
            |is: fn(&Answer) -> bool| topic.answers.values().filter(|answer| is(answer)).count();
        let row = [
            topic.cases.len(),
            count(|answer| *answer == Answer::Allowed),
            count(|answer| matches!(answer, Answer::Denied { .. })),
            count(|answer| *answer == Answer::Refused),
        ];
        let numbers = row.map(|number| number.to_string()).join(" | ");
        let _ = writeln!(table, "| `{}` | {} | {numbers} |", topic.file, topic.title);
        for (sum, number) in total.iter_mut().zip(row) {
            *sum += number;
        }
    }
    let numbers = total.map(|number| number.to_string()).join(" | ");
    let _ = writeln!(table, "| | all | {numbers} |");
    table
}

/// A finding underlines the mistake itself, however YAML quotes the expression.
#[test]
fn findings_point_into_the_expression() {
    let cases = [
        (
            "expression: object.spec.size < unknown",
            "unknown",
            "HCB701",
        ),
        (
            "expression: 'object.spec.name == ''a'' && unknown'",
            "unknown",
            "HCB701",
        ),
        (
            r#"expression: "object.spec.name == \"a\" && unknown""#,
            "unknown",
            "HCB701",
        ),
        (
            "expression: >-\n        object.spec.size < 3 &&\n        object.spec['ünï'] == unknown",
            "unknown",
            "HCB701",
        ),
        (
            "expression: |\n        object.spec.size < 3 &&\n          unknown(1) == 2\n",
            "unknown",
            "HCB701",
        ),
        ("expression: 1 + 'a' == 2", "+", "HCB701"),
        ("expression: object.spec.size", "object.spec.size", "HCB701"),
        ("expression: object.spec.name.matches('(')", "'('", "HCB701"),
        ("expression: request.nonsense == 1", "nonsense", "HCB701"),
        (
            "expression: authorizer.path('/x').check('get').allowed()",
            "authorizer",
            "HCB702",
        ),
        ("expression: has(object.metadata.uid)", "uid", "HCB702"),
        ("expresion: 'true'", "expresion", "HCB700"),
    ];
    for (validation, underlined, code) in cases {
        let text = format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: a}}\nspec:\n  matchConstraints:\n    resourceRules:\n    - {{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*']}}\n  validations:\n    - {validation}\n"
        );
        let mut sources = Sources::default();
        let id = sources.add("policy.yaml", text.clone());
        let mut diagnostics = Diagnostics::default();
        let nodes = yaml::read(id, &text, &mut diagnostics);
        assert!(AdmissionPolicy::read(&nodes[0], &text, &mut diagnostics).is_none());
        let found: Vec<_> = diagnostics
            .sorted()
            .into_iter()
            .map(|found| {
                let place = found.labels.first().map(|label| label.location.range());
                let underlined = place.map(|place| &text[place]).unwrap_or_default();
                (found.code.id(), underlined)
            })
            .collect();
        assert!(
            found.contains(&(code.to_owned(), underlined)),
            "{validation}: {found:?}"
        );
    }
}

#[test]
fn expressions_and_the_spec_read_a_quantity_alike() {
    for text in [
        "0", "4", "0.5", ".5", "1500m", "1000m", "16Gi", "1024Mi", "0.5Gi", "1e3", "1000", "1G",
        "100M",
    ] {
        let ours = hcb_kubernetes::Quantity::parse(text).expect("a quantity of the spec");
        let expression = format!(
            "quantity('{text}').compareTo(quantity('{ours}')) == 0 && quantity('{text}').compareTo(quantity('{}m')) == 0",
            ours.milli()
        );
        let program = Program::compile(&expression, &Environment::new()).expect("an expression");
        let value = program.evaluate(&Activation::of(&[])).value;
        assert!(
            matches!(value, Ok(Value::Bool(true))),
            "{expression}: {value:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Any text is either refused or evaluated, without a panic.
    #[test]
    fn no_expression_makes_the_compiler_or_evaluator_panic(words in proptest::collection::vec(word(), 1..24)) {
        let text = words.join(" ");
        let environment = Environment::new().with("object", Type::Dyn);
        match Program::compile(&text, &environment) {
            Err(error) => {
                prop_assert!(text.get(error.range.clone()).is_some(), "{error:?} in {text}");
            }
            Ok(program) => {
                let object = serde_json::json!({"spec": {"a": 1, "list": [1, "x", null], "text": "ä"}});
                let values = [("object", Value::from(&object))];
                let evaluation = program.evaluate(&Activation::of(&values));
                if let Ok(value) = evaluation.value {
                    prop_assert!(value.is_equal(&value.clone()) || value.to_string().contains("NaN"));
                }
            }
        }
    }
}

/// Parts of expressions, valid or not.
fn word() -> impl Strategy<Value = String> {
    let known = [
        "object",
        ".spec",
        ".a",
        ".list",
        ".text",
        "[0]",
        "[?1]",
        ".?z",
        "1",
        "-1",
        "2u",
        "1.5",
        "'ä'",
        "\"x\"",
        "b'y'",
        "null",
        "true",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "in",
        "&&",
        "||",
        "!",
        "?",
        ":",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        ".all(x, x > 0)",
        ".map(x, x)",
        ".filter(i, i != 1)",
        ".exists(k, v, k == v)",
        ".transformMap(k, v, v)",
        "has(object.spec)",
        "size(",
        "int(",
        "string(",
        "timestamp('2024-01-01T00:00:00Z')",
        "duration('1h')",
        "quantity('1Gi')",
        ".matches('a+')",
        ".split('')",
        ".format([1])",
        "optional.of(1)",
        ".orValue(2)",
        ".optMap(x, x)",
        "dyn(",
        "type(",
        "cidr('10.0.0.0/8')",
        "ip('::1')",
        "é",
        "\\",
        "//",
        "\n",
        "`a`",
        "9223372036854775807",
        "1e308",
    ];
    prop_oneof![
        9 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ]
}
