//! What OTLP receivers answer: `ExportTraceServiceResponse`, `google.rpc.Status` and `RetryInfo`, reduced to the fields
//! that matter here. The same for gRPC and HTTP.

use std::time::Duration;

use prost::Message;

use super::transport::Answer;

const RETRY_INFO: &str = "google.rpc.RetryInfo";

#[derive(Clone, PartialEq, Message)]
struct ExportTraceServiceResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<ExportTracePartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct ExportTracePartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The body of a successful response. One that cannot be read counts as full success: the receiver said it took the request.
pub(super) fn success(body: &[u8]) -> Answer {
    let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|response| response.partial_success);
    match partial {
        None => Answer::Delivered,
        Some(partial) if partial.rejected_spans <= 0 && partial.error_message.is_empty() => Answer::Delivered,
        Some(partial) => Answer::Partial {
            rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
            message: partial.error_message,
        },
    }
}

/// The message of an encoded `google.rpc.Status`; `None` where there is none to read.
pub(super) fn status_message(status: &[u8]) -> Option<String> {
    RpcStatus::decode(status).ok().map(|status| status.message).filter(|message| !message.is_empty())
}

/// The delay of the `RetryInfo` in an encoded `google.rpc.Status`. `Some(ZERO)` where it names none.
pub(super) fn retry_delay(status: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(status).ok()?;
    let detail = status.details.iter().find(|detail| detail.type_url.ends_with(RETRY_INFO))?;
    let delay = RetryInfo::decode(detail.value.as_slice()).ok()?.retry_delay.unwrap_or_default();
    Some(Duration::new(u64::try_from(delay.seconds).unwrap_or(0), u32::try_from(delay.nanos).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_or_empty_answer_is_full_success() {
        assert_eq!(success(b""), Answer::Delivered);
        assert_eq!(success(b"{}"), Answer::Delivered);
    }

    #[test]
    fn a_warning_without_rejected_spans_is_kept() {
        let partial = ExportTracePartialSuccess { rejected_spans: 0, error_message: "slow down".into() };
        let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(success(&body), Answer::Partial { rejected: 0, message: "slow down".into() });
    }

    #[test]
    fn retry_info_is_found_among_other_details() {
        let info = RetryInfo { retry_delay: Some(ProtoDuration { seconds: 2, nanos: 500_000_000 }) };
        let details = vec![
            Any { type_url: "type.googleapis.com/google.rpc.Help".into(), value: Vec::new() },
            Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: info.encode_to_vec() },
        ];
        let status = RpcStatus { code: 8, message: "busy".into(), details }.encode_to_vec();
        assert_eq!(retry_delay(&status), Some(Duration::from_millis(2500)));
        assert_eq!(status_message(&status).as_deref(), Some("busy"));
        assert_eq!(retry_delay(b""), None);
    }
}
