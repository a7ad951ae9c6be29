/* What DPDK offers only as a static inline, a macro or a struct whose layout differs between releases.
 * The packet path is burst-shaped: one call receives, describes, sends or frees a whole burst. */
#ifndef TAPSPAN_SHIM_H
#define TAPSPAN_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include <rte_ethdev.h>

/* Macros over shifts and casts, which bindgen cannot evaluate. */
static const uint64_t TAPSPAN_RSS_IP = RTE_ETH_RSS_IP;
static const uint64_t TAPSPAN_RSS_TCP = RTE_ETH_RSS_TCP;
static const uint64_t TAPSPAN_RSS_UDP = RTE_ETH_RSS_UDP;
static const uint64_t TAPSPAN_RSS_SCTP = RTE_ETH_RSS_SCTP;
static const uint64_t TAPSPAN_RX_OFFLOAD_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER;
static const uint64_t TAPSPAN_TX_OFFLOAD_MULTI_SEGS = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

/* One received packet: the first segment, which is what gets parsed, and the length over all segments. */
struct tapspan_frame {
	uint8_t *data;
	uint32_t data_len;
	uint32_t wire_len;
};

/* What one call received. */
struct tapspan_received {
	/* Entries written. */
	uint16_t count;
	/* Where all of them may go back to as they are: each is from there, in one segment, and held by nobody else. Else NULL. */
	struct rte_mempool *pool;
};

/* Receives up to `max` packets and describes each. Writes the first `count` entries of both arrays. */
struct tapspan_received tapspan_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs,
					 struct tapspan_frame *frames, uint16_t max);

/* Gives `count` mbufs back; `pool` is what was received with them. */
void tapspan_free_burst(struct rte_mempool *pool, struct rte_mbuf **mbufs, uint16_t count);

/* Copies `count` frames into mbufs of `pool`, chained where a frame is longer than one, and sends them. Returns how
 * many the device took, always the first ones; the others are freed. At most TAPSPAN_TX_MAX a call. */
#define TAPSPAN_TX_MAX 64
uint16_t tapspan_tx_burst(uint16_t port, uint16_t queue, struct rte_mempool *pool, const uint8_t *const *data,
			  const uint32_t *lengths, uint16_t count);

/* rte_errno of the calling thread. */
int tapspan_errno(void);

/* Whether the calling thread has an lcore id, which is what gives it a mempool cache. */
int tapspan_is_lcore(void);

struct tapspan_link {
	uint32_t speed_mbps; /* UINT32_MAX where unknown */
	uint8_t up;
	uint8_t full_duplex;
};

/* Link state without waiting for it. 0, or a negative errno. */
int tapspan_link_nowait(uint16_t port, struct tapspan_link *link);

/* Asks for the symmetric Toeplitz hash in `conf`, where DPDK (23.11 and later) and the device have it.
 * Returns 1 when asked, 0 otherwise. */
int tapspan_rss_ask_symmetric(const struct rte_eth_dev_info *info, struct rte_eth_rss_conf *conf);

/* Whether `conf`, as read back from a device, names a symmetric hash. */
int tapspan_rss_is_symmetric(const struct rte_eth_rss_conf *conf);

/* Gets each log message of EAL and drivers; `level` is RTE_LOG_* (1 emergency ... 8 debug). Called on the thread that
 * logs; must not unwind and must not log. */
typedef void (*tapspan_log_sink)(uint32_t level, const uint8_t *text, size_t length);

/* Sends the log of DPDK to `sink` instead of stderr. 0, or a negative errno. Call once, before rte_eal_init. */
int tapspan_log_to(tapspan_log_sink sink);

/* Sends what libbpf and libxdp print for themselves to the sink of tapspan_log_to, where a driver has loaded them. */
void tapspan_log_bpf(void);

/* The packet sockets this process has on interface `ifindex` in a fanout group, as the af_packet driver makes them.
 * Returns how many of at most `max` were written to `fds`. */
unsigned int tapspan_packet_sockets(unsigned int ifindex, int *fds, unsigned int max);

/* Packets the kernel dropped on packet socket `fd` since the call before: reading sets it back. 0 where unknown. */
uint32_t tapspan_packet_socket_drops(int fd);

/* rte_eal_init, which prints past its own log: the usage on stdout is thrown away, what it says on stderr goes to the
 * sink of tapspan_log_to afterwards, as errors where it failed. Both streams of the process are turned meanwhile. */
int tapspan_eal_init(int argc, char **argv);

#endif
