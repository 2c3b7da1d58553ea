//! The fence round the operating system.
//!
//! One file for each mechanism, each with a safe interface. Nothing here decides anything: what a signal means, when a
//! process has to go and what goes over a socket is the business of the crates above.
//!
//! Linux only, as `epoll`, `eventfd` and `/proc` are.

pub mod accept_queue;
pub mod beneath;
pub mod boot_report;
pub mod children;
pub mod clock;
pub mod epoll;
pub mod fdpass;
pub mod fds;
pub mod files;
pub mod forks;
pub mod holder;
pub mod listening;
pub mod local_time;
pub mod memory;
pub mod notify;
pub mod output;
pub mod pipe;
pub mod poll;
pub mod process;
pub mod publication;
pub mod rate_table;
pub mod reports;
pub mod rights;
pub mod scoreboard;
pub mod send;
pub mod shared_flag;
mod shared_pages;
pub mod signals;
pub mod socket;
pub mod timer;
pub mod usage;
pub mod users;
