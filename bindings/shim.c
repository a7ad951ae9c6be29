#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_version.h>

#include "shim.h"

/* data_off, refcnt, nb_segs and port, which drivers write as one word. */
static uint64_t
rearm_word(const struct rte_mbuf *mbuf)
{
	uint64_t word;

	memcpy(&word, (const char *)mbuf + offsetof(struct rte_mbuf, data_off), sizeof(word));
	return word;
}

struct tapspan_received
tapspan_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **restrict mbufs,
		 struct tapspan_frame *restrict frames, uint16_t max)
{
	struct tapspan_received received = {.count = rte_eth_rx_burst(port, queue, mbufs, max)};
	uint64_t first, words = 0, pools = 0, flags = 0;
	struct rte_mempool *pool;

	if (received.count == 0)
		return received;
	first = rearm_word(mbufs[0]);
	pool = mbufs[0]->pool;
	/* All fields are in the mbuf's first cache line, which the driver has just written. */
	for (uint16_t i = 0; i < received.count; i++) {
		const struct rte_mbuf *mbuf = mbufs[i];

		frames[i].data = rte_pktmbuf_mtod(mbuf, uint8_t *);
		frames[i].data_len = rte_pktmbuf_data_len(mbuf);
		frames[i].wire_len = rte_pktmbuf_pkt_len(mbuf);
		words |= rearm_word(mbuf) ^ first;
		pools |= (uintptr_t)mbuf->pool ^ (uintptr_t)pool;
		flags |= mbuf->ol_flags;
	}
	if (words == 0 && pools == 0 && !(flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) &&
	    mbufs[0]->nb_segs == 1 && rte_mbuf_refcnt_read(mbufs[0]) == 1)
		received.pool = pool;
	return received;
}

void
tapspan_free_burst(struct rte_mempool *pool, struct rte_mbuf **mbufs, uint16_t count)
{
	/* rte_pktmbuf_free_bulk reads `next`, in the second cache line of each, which is NULL where there is one segment. */
	if (pool != NULL)
		rte_mempool_put_bulk(pool, (void **)mbufs, count);
	else
		rte_pktmbuf_free_bulk(mbufs, count);
}

/* A chain of mbufs holding a copy of `data`; NULL where the pool is empty or the frame needs too many segments. */
static struct rte_mbuf *
copy_to_mbufs(struct rte_mempool *pool, const uint8_t *data, uint32_t length)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool);
	struct rte_mbuf *tail = head;

	if (head == NULL)
		return NULL;
	for (;;) {
		uint16_t room = rte_pktmbuf_tailroom(tail);
		uint16_t part = length < room ? (uint16_t)length : room;

		memcpy(rte_pktmbuf_mtod(tail, void *), data, part);
		tail->data_len = part;
		data += part;
		length -= part;
		head->pkt_len += part;
		if (length == 0)
			return head;
		tail->next = head->nb_segs < RTE_MBUF_MAX_NB_SEGS ? rte_pktmbuf_alloc(pool) : NULL;
		if (tail->next == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		tail = tail->next;
		head->nb_segs++;
	}
}

uint16_t
tapspan_tx_burst(uint16_t port, uint16_t queue, struct rte_mempool *pool, const uint8_t *const *data,
		 const uint32_t *lengths, uint16_t count)
{
	struct rte_mbuf *mbufs[TAPSPAN_TX_MAX];
	uint16_t made = 0;
	uint16_t sent;

	if (count > TAPSPAN_TX_MAX)
		count = TAPSPAN_TX_MAX;
	while (made < count) {
		mbufs[made] = copy_to_mbufs(pool, data[made], lengths[made]);
		if (mbufs[made] == NULL)
			break;
		made++;
	}
	sent = rte_eth_tx_burst(port, queue, mbufs, made);
	rte_pktmbuf_free_bulk(mbufs + sent, made - sent);
	return sent;
}

int
tapspan_errno(void)
{
	return rte_errno;
}

int
tapspan_is_lcore(void)
{
	return rte_lcore_id() != LCORE_ID_ANY;
}

int
tapspan_link_nowait(uint16_t port, struct tapspan_link *link)
{
	struct rte_eth_link now = {0};
	int status = rte_eth_link_get_nowait(port, &now);

	link->speed_mbps = now.link_speed == RTE_ETH_SPEED_NUM_NONE ? UINT32_MAX : now.link_speed;
	link->up = now.link_status == RTE_ETH_LINK_UP;
	link->full_duplex = now.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	return status;
}

int
tapspan_rss_ask_symmetric(const struct rte_eth_dev_info *info, struct rte_eth_rss_conf *conf)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	if (info->rss_algo_capa & RTE_ETH_HASH_ALGO_TO_CAPA(RTE_ETH_HASH_FUNCTION_SYMMETRIC_TOEPLITZ)) {
		conf->algorithm = RTE_ETH_HASH_FUNCTION_SYMMETRIC_TOEPLITZ;
		return 1;
	}
#else
	(void)info;
	(void)conf;
#endif
	return 0;
}

int
tapspan_rss_is_symmetric(const struct rte_eth_rss_conf *conf)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	return conf->algorithm == RTE_ETH_HASH_FUNCTION_SYMMETRIC_TOEPLITZ;
#else
	(void)conf;
	return 0;
#endif
}

static tapspan_log_sink log_sink;

static ssize_t
log_write(void *cookie, const char *text, size_t length)
{
	int level = rte_log_cur_msg_loglevel();

	(void)cookie;
	/* -1 on a thread that is inside no log call, as when the stream is flushed late. */
	log_sink(level > 0 ? (uint32_t)level : RTE_LOG_INFO, (const uint8_t *)text, length);
	return (ssize_t)length;
}

int
tapspan_log_to(tapspan_log_sink sink)
{
	cookie_io_functions_t calls = {.write = log_write};
	FILE *stream;

	log_sink = sink;
	stream = fopencookie(NULL, "w", calls);
	if (stream == NULL)
		return -errno;
	/* DPDK flushes after each message, so a full buffer gives one message a call. */
	setvbuf(stream, NULL, _IOFBF, 4096);
	return rte_openlog_stream(stream);
}

/* enum libbpf_print_level: 0 warning, 1 info, 2 debug. */
static int
bpf_print(int level, const char *format, va_list arguments)
{
	static const uint32_t levels[] = {RTE_LOG_WARNING, RTE_LOG_INFO, RTE_LOG_DEBUG};
	char text[1024];
	int length = vsnprintf(text, sizeof(text), format, arguments);

	if (length > (int)sizeof(text) - 1)
		length = sizeof(text) - 1;
	if (length > 0 && log_sink != NULL)
		log_sink(levels[level < 0 || level > 2 ? 2 : level], (const uint8_t *)text, (size_t)length);
	return length;
}

static void
set_print(const char *library, const char *function)
{
	/* Only where a driver has it loaded: neither library is needed otherwise. */
	void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
	void *(*set)(int (*)(int, const char *, va_list));

	if (handle == NULL)
		return;
	*(void **)&set = dlsym(handle, function);
	if (set != NULL)
		set(bpf_print);
	dlclose(handle);
}

void
tapspan_log_bpf(void)
{
	set_print("libbpf.so.1", "libbpf_set_print");
	set_print("libxdp.so.1", "libxdp_set_print");
}

unsigned int
tapspan_packet_sockets(unsigned int ifindex, int *fds, unsigned int max)
{
	unsigned int found = 0;
	int last = (int)sysconf(_SC_OPEN_MAX);

	for (int fd = 3; fd < last && fd < 65536 && found < max; fd++) {
		struct sockaddr_ll address = {0};
		socklen_t length = sizeof(address);
		int domain = 0, fanout = 0;
		socklen_t domain_length = sizeof(domain), fanout_length = sizeof(fanout);

		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_length) != 0 || domain != AF_PACKET)
			continue;
		if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
		    (unsigned int)address.sll_ifindex != ifindex)
			continue;
		if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &fanout, &fanout_length) == 0 && fanout != 0)
			fds[found++] = fd;
	}
	return found;
}

uint32_t
tapspan_packet_socket_drops(int fd)
{
	struct tpacket_stats stats = {0};
	socklen_t length = sizeof(stats);

	return getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0 ? stats.tp_drops : 0;
}

/* Turns descriptor `fd` to `target`; returns what it was, or -1 with nothing changed. */
static int
turn(int fd, int target)
{
	int before = target < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (before >= 0)
		dup2(target, fd);
	return before;
}

static void
turn_back(int fd, int before)
{
	if (before >= 0) {
		dup2(before, fd);
		close(before);
	}
}

int
tapspan_eal_init(int argc, char **argv)
{
	char text[4096];
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int kept = memfd_create("eal-init", MFD_CLOEXEC);
	int out, err, status, cause;
	ssize_t length;

	fflush(stdout);
	out = turn(STDOUT_FILENO, nowhere);
	err = turn(STDERR_FILENO, kept);
	status = rte_eal_init(argc, argv);
	cause = rte_errno;
	fflush(stdout);
	turn_back(STDOUT_FILENO, out);
	turn_back(STDERR_FILENO, err);

	length = kept < 0 ? 0 : pread(kept, text, sizeof(text), 0);
	if (length > 0)
		log_sink(status < 0 ? RTE_LOG_ERR : RTE_LOG_INFO, (const uint8_t *)text, (size_t)length);
	if (kept >= 0)
		close(kept);
	if (nowhere >= 0)
		close(nowhere);
	rte_errno = cause;
	return status;
}
