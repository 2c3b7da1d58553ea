//! The arbiter as it is seen from outside: real processes, sockets and signals, with the example `plain_fork` as the
//! program round it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

mod bench;

mod care;
mod reload;
mod start;
mod stop;
mod upgrade;
