//! Symmetric RSS: both directions of a conversation to the same queue. Asked for, then read back.

use std::fmt;

use super::error::Errno;

/// Longest key a device may have, in bytes; 40 and 52 are common.
const KEY_MAX: usize = 256;
/// Key length where a device names none.
const KEY_DEFAULT: u8 = 40;
/// A Toeplitz key that repeats every 16 bits gives the same hash with the endpoints swapped (Woo and Park, 2012).
const KEY_PATTERN: [u8; 2] = [0x6d, 0x5a];

/// How packets spread over the queues of a port. Displays as a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RssState {
    /// One queue: nothing to spread.
    SingleQueue,
    /// Both directions of a flow come in on the same queue; says by which means.
    Symmetric(String),
    /// They may come in on different queues; says why.
    Asymmetric(String),
}

impl fmt::Display for RssState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RssState::SingleQueue => f.write_str("one queue"),
            RssState::Symmetric(how) => write!(f, "symmetric: {how}"),
            RssState::Asymmetric(why) => write!(f, "not symmetric: {why}"),
        }
    }
}

/// What is asked of a device.
#[derive(Debug)]
pub(super) struct RssRequest {
    key: Vec<u8>,
    /// Wanted and offered hash functions, `RTE_ETH_RSS_*`.
    functions: u64,
    device: dpdk_sys::rte_eth_dev_info,
}

impl RssRequest {
    /// The request for a device with this `info` and `queues`; `None` where there is nothing to ask.
    pub(super) fn new(info: &dpdk_sys::rte_eth_dev_info, queues: u16) -> Option<RssRequest> {
        let wanted = dpdk_sys::TAPSPAN_RSS_IP
            | dpdk_sys::TAPSPAN_RSS_TCP
            | dpdk_sys::TAPSPAN_RSS_UDP
            | dpdk_sys::TAPSPAN_RSS_SCTP;
        let functions = wanted & info.flow_type_rss_offloads;
        if queues < 2 || functions == 0 {
            return None;
        }
        let key = KEY_PATTERN.iter().copied().cycle().take(usize::from(key_length(info))).collect();
        Some(RssRequest { key, functions, device: *info })
    }

    /// Writes the request into `conf`, which then points into `self`.
    pub(super) fn fill(&mut self, rss: &mut dpdk_sys::rte_eth_rss_conf) {
        rss.rss_key = self.key.as_mut_ptr();
        rss.rss_key_len = u8::try_from(self.key.len()).unwrap_or(KEY_DEFAULT);
        rss.rss_hf = self.functions;
        // SAFETY: both point to initialised structures of this DPDK's layout that outlive the call.
        unsafe { dpdk_sys::tapspan_rss_ask_symmetric(&raw const self.device, rss) };
    }
}

/// What a started port with several queues does, after asking once more where it did not take the request that was
/// part of its configuration. `request` is `None` where there was nothing to ask.
pub(super) fn settle(port: u16, driver: &str, request: Option<RssRequest>) -> RssState {
    match driver {
        // The kernel spreads by PACKET_FANOUT_HASH, which uses __skb_get_hash_symmetric.
        "net_af_packet" => return RssState::Symmetric("packet fanout of the kernel".to_owned()),
        "net_af_xdp" => {
            return RssState::Asymmetric(
                "the kernel's driver chooses the queue; see `ethtool -x` and `-X` for its hash".to_owned(),
            );
        }
        _ => {}
    }
    let Some(mut request) = request else {
        return RssState::Asymmetric(format!("{driver} does not spread by flow"));
    };
    match read_back(port, &request) {
        symmetric @ RssState::Symmetric(_) => symmetric,
        first => {
            let mut conf = dpdk_sys::rte_eth_rss_conf::default();
            request.fill(&mut conf);
            // SAFETY: the port is started; `conf` and the key it points to outlive the call, which copies them.
            let status = unsafe { dpdk_sys::rte_eth_dev_rss_hash_update(port, &raw mut conf) };
            if Errno::check(status).is_ok() { read_back(port, &request) } else { first }
        }
    }
}

fn read_back(port: u16, request: &RssRequest) -> RssState {
    let mut key = [0_u8; KEY_MAX];
    let key_len = u8::try_from(request.key.len()).unwrap_or(KEY_DEFAULT);
    let mut conf =
        dpdk_sys::rte_eth_rss_conf { rss_key: key.as_mut_ptr(), rss_key_len: key_len, ..Default::default() };
    // SAFETY: the port is started; the key buffer is longer than any key, as lengths are 8 bits, since there are
    // drivers that write the whole key whatever `rss_key_len` promises.
    let status = unsafe { dpdk_sys::rte_eth_dev_rss_hash_conf_get(port, &raw mut conf) };
    if let Err(errno) = Errno::check(status) {
        return RssState::Asymmetric(format!("asked for, but it cannot be read back: {errno}"));
    }
    // SAFETY: `conf` is initialised and outlives the call.
    if unsafe { dpdk_sys::tapspan_rss_is_symmetric(&raw const conf) } != 0 {
        return RssState::Symmetric("symmetric Toeplitz".to_owned());
    }
    judge(&key[..usize::from(conf.rss_key_len.min(key_len))], conf.rss_hf)
}

fn key_length(info: &dpdk_sys::rte_eth_dev_info) -> u8 {
    if info.hash_key_size == 0 { KEY_DEFAULT } else { info.hash_key_size }
}

fn judge(key: &[u8], functions: u64) -> RssState {
    if functions == 0 {
        return RssState::Asymmetric("the device hashes nothing".to_owned());
    }
    let repeats = !key.is_empty() && key.chunks(2).all(|pair| pair == &KEY_PATTERN[..pair.len()]);
    if repeats {
        RssState::Symmetric(format!("Toeplitz with key 6d5a repeated, functions {functions:#x}"))
    } else {
        RssState::Asymmetric("the device kept a key of its own".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_repeated_key_read_back_counts_as_symmetric() {
        let key: Vec<u8> = KEY_PATTERN.iter().copied().cycle().take(52).collect();
        assert!(matches!(judge(&key, 4), RssState::Symmetric(_)));
        assert!(matches!(judge(&key[..51], 4), RssState::Symmetric(_)));
        assert!(matches!(judge(&key, 0), RssState::Asymmetric(_)));
        assert!(matches!(judge(&[0x6d, 0x5a, 0x6d, 0x5b], 4), RssState::Asymmetric(_)));
        assert!(matches!(judge(&[], 4), RssState::Asymmetric(_)));
    }
}
