//! What the expressions of a policy may use, and of what types (`admission/plugin/cel/compile.go`).

use hcb_cel::{Environment, Struct, Type};
use std::sync::Arc;

/// The type of a variable: those of Kubernetes are known only at run time.
pub(super) fn variable_type(ty: &Type) -> Type {
    match ty {
        Type::Bool
        | Type::Bytes
        | Type::Double
        | Type::Duration
        | Type::Int
        | Type::Null
        | Type::String
        | Type::Timestamp
        | Type::Uint => ty.clone(),
        Type::List(item) => Type::list(variable_type(item)),
        Type::Map(key, value) => Type::map(variable_type(key), variable_type(value)),
        _ => Type::Dyn,
    }
}

/// Why some metadata is not known.
const SET: &str = "the API server sets it";

/// The variables of a policy but for `variables`.
pub(super) fn environment(has_params: bool) -> Environment {
    let mut environment = Environment::new()
        .with("object", Type::Dyn)
        .with("oldObject", Type::Dyn)
        .with("request", request_type())
        .with("namespaceObject", namespace_type());
    for field in [
        "uid",
        "creationTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        environment = environment
            .without(&["object", "metadata", field], SET)
            .without(&["oldObject", "metadata", field], SET);
    }
    for field in ["UID", "creationTimestamp", "generation", "resourceVersion"] {
        environment = environment.without(&["namespaceObject", "metadata", field], SET);
    }
    if has_params {
        environment.with("params", Type::Dyn)
    } else {
        environment
    }
}

fn structure<const N: usize>(name: &str, fields: [(&str, Type); N]) -> Type {
    Type::Struct(Arc::new(Struct {
        name: name.to_owned(),
        fields: fields
            .into_iter()
            .map(|(name, ty)| (name.to_owned(), ty))
            .collect(),
    }))
}

/// `BuildRequestType` in `admission/plugin/cel/compile.go`.
fn request_type() -> Type {
    let kind = structure(
        "kubernetes.GroupVersionKind",
        [
            ("group", Type::String),
            ("version", Type::String),
            ("kind", Type::String),
        ],
    );
    let resource = structure(
        "kubernetes.GroupVersionResource",
        [
            ("group", Type::String),
            ("version", Type::String),
            ("resource", Type::String),
        ],
    );
    let user = structure(
        "kubernetes.UserInfo",
        [
            ("username", Type::String),
            ("uid", Type::String),
            ("groups", Type::list(Type::String)),
            ("extra", Type::map(Type::String, Type::list(Type::String))),
        ],
    );
    structure(
        "kubernetes.AdmissionRequest",
        [
            ("kind", kind.clone()),
            ("resource", resource.clone()),
            ("subResource", Type::String),
            ("requestKind", kind),
            ("requestResource", resource),
            ("requestSubResource", Type::String),
            ("name", Type::String),
            ("namespace", Type::String),
            ("operation", Type::String),
            ("userInfo", user),
            ("dryRun", Type::Bool),
            ("options", Type::Dyn),
        ],
    )
}

/// `BuildNamespaceType` in `admission/plugin/cel/compile.go`.
fn namespace_type() -> Type {
    let texts = || Type::map(Type::String, Type::String);
    let metadata = structure(
        "kubernetes.NamespaceMetadata",
        [
            ("name", Type::String),
            ("generateName", Type::String),
            ("namespace", Type::String),
            ("labels", texts()),
            ("annotations", texts()),
            ("UID", Type::String),
            ("creationTimestamp", Type::Timestamp),
            ("deletionGracePeriodSeconds", Type::Int),
            ("deletionTimestamp", Type::Timestamp),
            ("generation", Type::Int),
            ("resourceVersion", Type::String),
            ("finalizers", Type::list(Type::String)),
        ],
    );
    let condition = structure(
        "kubernetes.NamespaceCondition",
        [
            ("status", Type::String),
            ("type", Type::String),
            ("lastTransitionTime", Type::Timestamp),
            ("message", Type::String),
            ("reason", Type::String),
        ],
    );
    structure(
        "kubernetes.Namespace",
        [
            ("metadata", metadata),
            (
                "spec",
                structure(
                    "kubernetes.NamespaceSpec",
                    [("finalizers", Type::list(Type::String))],
                ),
            ),
            (
                "status",
                structure(
                    "kubernetes.NamespaceStatus",
                    [
                        ("conditions", Type::list(condition)),
                        ("phase", Type::String),
                    ],
                ),
            ),
        ],
    )
}
