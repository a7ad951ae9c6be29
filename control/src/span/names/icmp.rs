//! Names of ICMP messages, IANA "Internet Control Message Protocol (ICMP) Parameters" and "ICMPv6 Parameters".
//!
//! Absent: reserved and experimental types, codes the registry calls "No Code", the codes of ICMPv6 node information
//! (RFC 4620), which are sentences rather than names, and those of RPL control messages, which have a registry of their own.

use flowtable::protocol;

/// Name of a message type; `None` where the registry has none, or `protocol` is not an ICMP.
pub fn icmp_type(protocol: u8, message: u8) -> Option<&'static str> {
    match protocol {
        protocol::ICMP => type_v4(message),
        protocol::ICMPV6 => type_v6(message),
        _ => None,
    }
}

/// Name of a message's code; `None` where the registry has none, or `protocol` is not an ICMP.
pub fn icmp_code(protocol: u8, message: u8, code: u8) -> Option<&'static str> {
    match protocol {
        protocol::ICMP => code_v4(message, code),
        protocol::ICMPV6 => code_v6(message, code),
        _ => None,
    }
}

fn type_v4(message: u8) -> Option<&'static str> {
    let name = match message {
        0 => "echo_reply",
        3 => "destination_unreachable",
        4 => "source_quench",
        5 => "redirect",
        6 => "alternate_host_address",
        8 => "echo",
        9 => "router_advertisement",
        10 => "router_solicitation",
        11 => "time_exceeded",
        12 => "parameter_problem",
        13 => "timestamp",
        14 => "timestamp_reply",
        15 => "information_request",
        16 => "information_reply",
        17 => "address_mask_request",
        18 => "address_mask_reply",
        30 => "traceroute",
        31 => "datagram_conversion_error",
        32 => "mobile_host_redirect",
        33 => "ipv6_where_are_you",
        34 => "ipv6_i_am_here",
        35 => "mobile_registration_request",
        36 => "mobile_registration_reply",
        37 => "domain_name_request",
        38 => "domain_name_reply",
        39 => "skip",
        40 => "photuris",
        42 => "extended_echo_request",
        43 => "extended_echo_reply",
        _ => return None,
    };
    Some(name)
}

fn code_v4(message: u8, code: u8) -> Option<&'static str> {
    let name = match (message, code) {
        (3, 0) => "net_unreachable",
        (3, 1) => "host_unreachable",
        (3, 2) => "protocol_unreachable",
        (3, 3) => "port_unreachable",
        (3, 4) => "fragmentation_needed_and_dont_fragment_was_set",
        (3, 5) => "source_route_failed",
        (3, 6) => "destination_network_unknown",
        (3, 7) => "destination_host_unknown",
        (3, 8) => "source_host_isolated",
        (3, 9) => "communication_with_destination_network_is_administratively_prohibited",
        (3, 10) => "communication_with_destination_host_is_administratively_prohibited",
        (3, 11) => "destination_network_unreachable_for_type_of_service",
        (3, 12) => "destination_host_unreachable_for_type_of_service",
        (3, 13) => "communication_administratively_prohibited",
        (3, 14) => "host_precedence_violation",
        (3, 15) => "precedence_cutoff_in_effect",
        (5, 0) => "redirect_datagram_for_the_network",
        (5, 1) => "redirect_datagram_for_the_host",
        (5, 2) => "redirect_datagram_for_the_type_of_service_and_network",
        (5, 3) => "redirect_datagram_for_the_type_of_service_and_host",
        (6, 0) => "alternate_address_for_host",
        (9, 0) => "normal_router_advertisement",
        (9, 16) => "does_not_route_common_traffic",
        (11, 0) => "time_to_live_exceeded_in_transit",
        (11, 1) => "fragment_reassembly_time_exceeded",
        (12, 0) => "pointer_indicates_the_error",
        (12, 1) => "missing_a_required_option",
        (12, 2) => "bad_length",
        (40, 0) => "bad_spi",
        (40, 1) => "authentication_failed",
        (40, 2) => "decompression_failed",
        (40, 3) => "decryption_failed",
        (40, 4) => "need_authentication",
        (40, 5) => "need_authorization",
        (42 | 43, 0) => "no_error",
        (43, 1) => "malformed_query",
        (43, 2) => "no_such_interface",
        (43, 3) => "no_such_table_entry",
        (43, 4) => "multiple_interfaces_satisfy_query",
        _ => return None,
    };
    Some(name)
}

fn type_v6(message: u8) -> Option<&'static str> {
    let name = match message {
        1 => "destination_unreachable",
        2 => "packet_too_big",
        3 => "time_exceeded",
        4 => "parameter_problem",
        128 => "echo_request",
        129 => "echo_reply",
        130 => "multicast_listener_query",
        131 => "multicast_listener_report",
        132 => "multicast_listener_done",
        133 => "router_solicitation",
        134 => "router_advertisement",
        135 => "neighbor_solicitation",
        136 => "neighbor_advertisement",
        137 => "redirect_message",
        138 => "router_renumbering",
        139 => "icmp_node_information_query",
        140 => "icmp_node_information_response",
        141 => "inverse_neighbor_discovery_solicitation_message",
        142 => "inverse_neighbor_discovery_advertisement_message",
        143 => "version_2_multicast_listener_report",
        144 => "home_agent_address_discovery_request_message",
        145 => "home_agent_address_discovery_reply_message",
        146 => "mobile_prefix_solicitation",
        147 => "mobile_prefix_advertisement",
        148 => "certification_path_solicitation_message",
        149 => "certification_path_advertisement_message",
        151 => "multicast_router_advertisement",
        152 => "multicast_router_solicitation",
        153 => "multicast_router_termination",
        154 => "fmipv6_messages",
        155 => "rpl_control_message",
        156 => "ilnpv6_locator_update_message",
        157 => "duplicate_address_request",
        158 => "duplicate_address_confirmation",
        159 => "mpl_control_message",
        160 => "extended_echo_request",
        161 => "extended_echo_reply",
        _ => return None,
    };
    Some(name)
}

fn code_v6(message: u8, code: u8) -> Option<&'static str> {
    let name = match (message, code) {
        (1, 0) => "no_route_to_destination",
        (1, 1) => "communication_with_destination_administratively_prohibited",
        (1, 2) => "beyond_scope_of_source_address",
        (1, 3) => "address_unreachable",
        (1, 4) => "port_unreachable",
        (1, 5) => "source_address_failed_ingress_egress_policy",
        (1, 6) => "reject_route_to_destination",
        (1, 7) => "error_in_source_routing_header",
        (1, 8) => "headers_too_long",
        (1, 9) => "error_in_p_route",
        (3, 0) => "hop_limit_exceeded_in_transit",
        (3, 1) => "fragment_reassembly_time_exceeded",
        (4, 0) => "erroneous_header_field_encountered",
        (4, 1) => "unrecognized_next_header_type_encountered",
        (4, 2) => "unrecognized_ipv6_option_encountered",
        (4, 3) => "ipv6_first_fragment_has_incomplete_ipv6_header_chain",
        (4, 4) => "sr_upper_layer_header_error",
        (4, 5) => "unrecognized_next_header_type_encountered_by_intermediate_node",
        (4, 6) => "extension_header_too_big",
        (4, 7) => "extension_header_chain_too_long",
        (4, 8) => "too_many_extension_headers",
        (4, 9) => "too_many_options_in_extension_header",
        (4, 10) => "option_too_big",
        (138, 0) => "router_renumbering_command",
        (138, 1) => "router_renumbering_result",
        (138, 255) => "sequence_number_reset",
        (157, 0) => "dar_message",
        (157, 1) => "edar_message_with_64_bit_rovr_field",
        (157, 2) => "edar_message_with_128_bit_rovr_field",
        (157, 3) => "edar_message_with_192_bit_rovr_field",
        (157, 4) => "edar_message_with_256_bit_rovr_field",
        (158, 0) => "dac_message",
        (158, 1) => "edac_message_with_64_bit_rovr_field",
        (158, 2) => "edac_message_with_128_bit_rovr_field",
        (158, 3) => "edac_message_with_192_bit_rovr_field",
        (158, 4) => "edac_message_with_256_bit_rovr_field",
        (160 | 161, 0) => "no_error",
        (161, 1) => "malformed_query",
        (161, 2) => "no_such_interface",
        (161, 3) => "no_such_table_entry",
        (161, 4) => "multiple_interfaces_satisfy_query",
        _ => return None,
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_carry_the_registrys_words() {
        assert_eq!(icmp_type(protocol::ICMP, 8), Some("echo"));
        assert_eq!(icmp_type(protocol::ICMPV6, 128), Some("echo_request"));
        assert_eq!(icmp_code(protocol::ICMP, 11, 0), Some("time_to_live_exceeded_in_transit"));
        assert_eq!(icmp_code(protocol::ICMPV6, 1, 5), Some("source_address_failed_ingress_egress_policy"));
    }

    #[test]
    fn what_no_standard_names_has_no_name() {
        assert_eq!(icmp_code(protocol::ICMP, 8, 0), None, "the registry says: no code");
        assert_eq!(icmp_type(protocol::ICMP, 253), None);
        assert_eq!(icmp_type(protocol::ICMPV6, 200), None);
        assert_eq!(icmp_type(protocol::UDP, 8), None);
        assert_eq!(icmp_code(protocol::UDP, 3, 3), None);
    }

    #[test]
    fn only_named_messages_have_named_codes_and_all_names_are_snake_case() {
        for protocol in [protocol::ICMP, protocol::ICMPV6] {
            for (message, code) in
                (0..=u8::MAX).flat_map(|message| (0..=u8::MAX).map(move |code| (message, code)))
            {
                let (name, code_name) = (icmp_type(protocol, message), icmp_code(protocol, message, code));
                assert!(code_name.is_none() || name.is_some(), "{protocol} {message} {code}");
                for name in name.into_iter().chain(code_name) {
                    assert!(
                        name.bytes()
                            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                    );
                }
            }
        }
    }
}
