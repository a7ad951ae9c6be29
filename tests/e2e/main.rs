//! End to end: the program as a user runs it, on files and on virtual ports, with its spans counted by receivers.
//!
//! Needs nothing to run; what root, tcpreplay or `.venv` would add is said where it is left out, and with
//! `TAPSPAN_E2E=full` (as `scripts/test.sh` sets for root) it fails instead.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod arkime;
mod bad_input;
mod community_id;
mod construct;
mod coverage;
mod demo;
mod devices;
mod live;
mod own_traffic;
mod replay;
mod signals;
mod wires;
