//! One test binary over a real PostgreSQL: a file per subject, `support` for what they share.

mod embedded_server;
mod first_light;
mod support;
