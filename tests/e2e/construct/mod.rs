//! Captures whose answers are known by construction: packets are put together here with chosen times, and every attribute of
//! their spans is held against arithmetic done here.
//!
//! `build` makes the packets, `talk` keeps the account of what a conversation sent, `expected` is what a span must say, and
//! `tape` writes the capture and compares. The other files are tests, each of one part of the specification.

mod build;
mod expected;
mod talk;
mod tape;

mod disorder;
mod fragments;
mod headers;
mod icmp;
mod intake;
mod nested;
mod orientation;
mod records;
mod sequence;
mod state;
mod timing;
mod tunnels;
