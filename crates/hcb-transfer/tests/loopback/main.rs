//! What needs services that nobody runs for a test is shown against small servers on loopback.

mod attempts;
mod chain;
mod servers;
mod services;
mod user;
