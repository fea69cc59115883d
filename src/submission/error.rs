//! Why a job cannot be submitted as it is asked for.

/// Why a workload, its parameters or its input are not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionError {
    /// The spec has no workload of this name.
    #[error("there is no workload `{name}` in the spec{}", suffix(.hint.as_ref()))]
    UnknownWorkload {
        /// The name that was asked for.
        name: String,
        /// A name that is much like it.
        hint: Option<String>,
    },
    /// Several namespaces have a workload of this name.
    #[error("there are several workloads `{name}`: say {}", .candidates.join(" or "))]
    AmbiguousWorkload {
        /// The name that was asked for.
        name: String,
        /// The workloads, as `NAMESPACE/NAME`.
        candidates: Vec<String>,
    },
    /// Parameters that are wrong; there is one at least.
    #[error("{}", lines(.0))]
    Parameters(Vec<ParameterError>),
    /// Data is to be uploaded for a workload that reads none.
    #[error("the workload `{workload}` reads no data: it has no `data.in`")]
    NoInput {
        /// The workload.
        workload: String,
    },
    /// The workload has several inputs, and none was named.
    #[error("say which data this is, with --input: {}", .names.join(" or "))]
    AmbiguousInput {
        /// The names of its inputs.
        names: Vec<String>,
    },
    /// The workload has no input of this name.
    #[error("the workload `{workload}` has no input `{name}`{}", suffix(.hint.as_ref()))]
    UnknownInput {
        /// The workload.
        workload: String,
        /// The name that was asked for.
        name: String,
        /// A name that is much like it.
        hint: Option<String>,
    },
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It has no `=`.
    #[error("`{0}` is no parameter; write `--param NAME=VALUE`")]
    NotAPair(String),
    /// The workload has no such variable.
    #[error("the workload `{workload}` has no parameter `{name}`; {hint}")]
    Unknown {
        /// The workload.
        workload: String,
        /// The name that was given.
        name: String,
        /// A name that is much like it, or that there are none.
        hint: String,
    },
    /// Its variable has a value already.
    #[error("the parameter `{0}` is given twice")]
    Repeated(String),
}

fn suffix(hint: Option<&String>) -> String {
    hint.map(|hint| format!("; {hint}")).unwrap_or_default()
}

fn lines(problems: &[ParameterError]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
