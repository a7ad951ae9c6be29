//! Protocol parsers.
