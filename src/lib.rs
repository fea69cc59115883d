//! The command line of `hcb`, and what only it knows: jobs that people submit.

pub mod cli;
pub mod jobs;
pub mod submission;
