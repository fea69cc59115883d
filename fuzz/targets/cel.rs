//! Any text as an expression: no panic, no more than its cost, and places that are there. What is
//! compiled is evaluated on an object.
#![no_main]

use hcb_cel::{Activation, Environment, Program, Type, Value};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use std::sync::LazyLock;

static OBJECT: LazyLock<serde_json::Value> = LazyLock::new(|| {
    json!({
        "metadata": {"name": "a", "labels": {"nvidia.com/gpu": "1", "": "x"}},
        "spec": {
            "int": 5, "double": 2.5, "text": "ünï", "none": null, "yes": true, "huge": 1e300,
            "list": [1, "a", null, [2.0]], "map": {"a": {"b": 1}},
        },
    })
});

fuzz_target!(|input: &str| {
    let environment = Environment::new().with("object", Type::Dyn);
    match Program::compile(input, &environment) {
        Err(error) => {
            assert!(input.get(error.range.clone()).is_some(), "{error:?}");
            assert!(!error.message.is_empty());
        }
        Ok(program) => {
            let values = [("object", Value::from(&*OBJECT))];
            let first = program.evaluate(&Activation::of(&values));
            let second = program.evaluate(&Activation::of(&values));
            assert_eq!(first.cost, second.cost);
            assert_eq!(
                first.value.map(|value| value.to_string()),
                second.value.map(|value| value.to_string())
            );
        }
    }
});
