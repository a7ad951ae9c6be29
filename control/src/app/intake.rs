//! The settings in the terms of the data plane: how frames are taken in, and how large a table is.

use dataplane::dedup::DedupOptions;
use dataplane::filter::CaptureFilter;
use dataplane::intake::IntakeOptions;
use dataplane::wire::{ByteCount, LinkType, ParseOptions};
use flowtable::{Pages, Prefetching, TableConfig, duration_ns};

use super::AppError;
use crate::config::{self, Dedup, Settings};

/// How frames are taken in. `links` are the link layers they will have, as far as that is known.
pub(super) fn options(settings: &Settings, links: &[LinkType]) -> Result<IntakeOptions, AppError> {
    let dedup = match settings.flow.dedup {
        Dedup::Off => None,
        Dedup::Within { window, packets } => Some(DedupOptions { window_ns: duration_ns(window), packets }),
    };
    Ok(IntakeOptions {
        parse: parse_options(settings),
        filter: capture_filter(&settings.filter.capture, links)?,
        dedup,
        ..IntakeOptions::default()
    })
}

/// What `filter.capture` lets pass; `None` where that is everything.
pub(super) fn capture_filter(
    expression: &str,
    links: &[LinkType],
) -> Result<Option<CaptureFilter>, AppError> {
    if expression.trim().is_empty() {
        return Ok(None);
    }
    CaptureFilter::compile(expression, links).map(Some).map_err(|error| {
        AppError::Usage(format!(
            "filter.capture = {expression:?}: {error}; expected an expression as pcap-filter(7) describes it, such as \
             \"tcp port 443\""
        ))
    })
}

fn parse_options(settings: &Settings) -> ParseOptions {
    let count = match settings.flow.bytes {
        config::ByteCount::Ip => ByteCount::Ip,
        config::ByteCount::Frame => ByteCount::Frame,
    };
    ParseOptions {
        key_vlan: settings.flow.key_vlan,
        key_tunnel: settings.flow.key_tunnel,
        count,
        tunnels: settings.tunnel.options(),
    }
}

/// Sizes a table.
pub(super) fn table_config(settings: &Settings, seed: u64, pages: Pages) -> TableConfig {
    TableConfig {
        capacity: settings.flow.capacity,
        seed,
        service_ports: settings.flow.service_ports.clone(),
        details: settings.flow.details(),
        events: settings.span.events.detail(),
        // What no span would tell need not be found out.
        exchanges: settings.span.selection().is_ok_and(|selection| selection.has_exchanges()),
        prefetching: settings.flow.prefetching.unwrap_or_else(Prefetching::here),
        pages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_asks_for_its_lines_as_is_set_or_as_the_processor_has_it() {
        let mut settings = Settings::default();
        let prefetching = |settings: &Settings| table_config(settings, 0, Pages::WhenUsed).prefetching;
        assert_eq!(prefetching(&settings), Prefetching::here());
        for set in Prefetching::ALL {
            settings.flow.prefetching = Some(set);
            assert_eq!(prefetching(&settings), set);
        }
    }

    #[test]
    fn a_bad_expression_is_named_with_what_libpcap_says_and_what_would_be_right() {
        let error = capture_filter("tcp prt 80", &[LinkType::Ethernet]).unwrap_err().to_string();
        for part in ["filter.capture", "tcp prt 80", "syntax error", "pcap-filter(7)"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(capture_filter(" ", &[]).unwrap().is_none());
    }
}
