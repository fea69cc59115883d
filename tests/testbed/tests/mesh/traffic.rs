//! Requests through real proxies.
