/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A port in a secondary process, see nfe_mp.h. It has those operations that only read; the others
 * are the primary's, and ethdev says -ENOTSUP.
 *
 * Probe runs on the control path, SYNC messages on EAL's message thread. Data threads see a mapping
 * replaced in place, and burst functions that change between none and the real ones: as with any
 * driver, an application keeps them away from queues that the primary is about to release.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ethdev_pci.h>
#include <rte_io.h>

#include <vfio_user_signal.h>

#include "nfe_ethdev.h"
#include "nfe_mp.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

struct mapping {
	void *addr; /* NULL: none */
	size_t len;
};

struct secondary { /* of a port */
	struct mapping arena, db;
	int kick_fd; /* -1: none */
	uint64_t seq; /* of the state that it is in; 0: none yet */
	int result;   /* of taking it */
	uint8_t *trig; /* of a PCI function, else NULL */
	uint32_t trig_stride_log2;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct secondary *ports[RTE_MAX_ETHPORTS]; /* changed with the lock */
static uint32_t owner; /* of this process in gates; 0: not known to the primary */
static int alive_fd = -1; /* the primary has the other end */
static int signal_fd = -1; /* a socket that vfio_user_signal() asks for */

static uint16_t
burst_none(void *queue __rte_unused, struct rte_mbuf **pkts __rte_unused, uint16_t n __rte_unused)
{
	return 0;
}

static void
unmap(struct mapping *m)
{
	if (m->addr != NULL)
		munmap(m->addr, m->len);
	*m = (struct mapping){ 0 };
}

/* Over what was there before, if it is the same place. Data threads store to that: so mapped
 * elsewhere first, since mmap() takes away what is there also when it fails. -EEXIST: this
 * process has something else. */
static int
map_at(struct mapping *m, uint64_t addr, uint64_t len, int fd, uint64_t offset)
{
	void *want = (void *)(uintptr_t)addr, *got;
	bool over = m->addr == want && m->len >= len;

	if (m->addr != NULL && !over)
		unmap(m);
	got = mmap(over ? NULL : want, len, PROT_READ | PROT_WRITE,
		   MAP_SHARED | (over ? 0 : MAP_FIXED_NOREPLACE), fd, (off_t)offset);
	if (over && got != MAP_FAILED &&
	    mremap(got, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, want) != MAP_FAILED)
		got = want;
	if (got == want) {
		m->addr = want;
		m->len = RTE_MAX(m->len, (size_t)len);
		return 0;
	}
	if (got == MAP_FAILED)
		return -errno;
	munmap(got, len); /* NOREPLACE: a kernel that does not know the flag */
	return over ? -ENOMEM : -EEXIST;
}

static int
take_kick_fd(struct secondary *s, int fd)
{
	if (s->kick_fd < 0)
		s->kick_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	else if (dup3(fd, s->kick_fd, O_CLOEXEC) < 0)
		return -errno;
	return s->kick_fd < 0 ? -errno : 0;
}

static int
take_mappings(struct rte_eth_dev *dev, struct secondary *s, const struct rte_mp_msg *msg)
{
	const struct nfe_mp_param *p = (const struct nfe_mp_param *)msg->param;
	int ret;

	if (msg->num_fds == 0)
		return -ENOTSUP;
	ret = map_at(&s->arena, p->arena, p->arena_len, msg->fds[NFE_MP_FD_ARENA], 0);
	if (ret == 0 && msg->num_fds == NFE_MP_FDS)
		ret = map_at(&s->db, p->db, p->db_len, msg->fds[NFE_MP_FD_DB], p->db_offset);
	if (ret == 0 && msg->num_fds == NFE_MP_FDS)
		ret = take_kick_fd(s, msg->fds[NFE_MP_FD_KICK]);
	if (ret == -EEXIST)
		NFE_LOG(ERR, "%s: where the primary has its doorbells or its map this process has "
			"something else: start it again", dev->data->name);
	else if (ret < 0)
		NFE_LOG(ERR, "%s: doorbells: %s", dev->data->name, strerror(-ret));
	return ret;
}

/* The primary may have made other queues meanwhile. The end of the probe copies what dev has, and
 * may have done so already. */
static void
set_bursts(struct rte_eth_dev *dev, bool on)
{
	struct rte_eth_fp_ops *fp = &rte_eth_fp_ops[dev->data->port_id];

	if (on) {
		nfe_select_bursts(dev);
	} else {
		dev->rx_pkt_burst = burst_none;
		dev->tx_pkt_burst = burst_none;
		dev->tx_pkt_prepare = NULL;
	}
	fp->rxq.data = dev->data->rx_queues;
	fp->txq.data = dev->data->tx_queues;
	fp->tx_pkt_prepare = dev->tx_pkt_prepare;
	rte_atomic_thread_fence(rte_memory_order_release); /* the queues before who uses them */
	fp->rx_pkt_burst = dev->rx_pkt_burst;
	fp->tx_pkt_burst = dev->tx_pkt_burst;
}

/* Stopped: mappings stay as they are. Without mappings there are only statistics. An answer to
 * ATTACH that is overtaken is of no use. */
static int
take_sync(struct rte_eth_dev *dev, struct secondary *s, const struct rte_mp_msg *msg)
{
	const struct nfe_mp_param *p = (const struct nfe_mp_param *)msg->param;
	int ret;

	if (p->seq <= s->seq)
		return s->result;
	ret = take_mappings(dev, s, msg);
	set_bursts(dev, ret == 0 && p->started);
	s->seq = p->seq;
	s->result = ret == -ENOTSUP ? 0 : ret;
	return s->result;
}

/* EAL's message thread. */
static int
on_sync(const struct rte_mp_msg *in, const void *peer)
{
	const struct nfe_mp_param *req = (const struct nfe_mp_param *)in->param;
	struct rte_mp_msg out = { .name = NFE_MP_ACTION, .len_param = sizeof(*req) };
	struct nfe_mp_param *p = (struct nfe_mp_param *)out.param;

	pthread_mutex_lock(&lock);
	if (req->port_id < RTE_MAX_ETHPORTS && ports[req->port_id] != NULL)
		p->result = take_sync(&rte_eth_devices[req->port_id], ports[req->port_id], in);
	pthread_mutex_unlock(&lock);
	nfe_mp_close_fds(in);
	return rte_mp_reply(&out, peer);
}

/* 0, with the reply in *out, whose descriptors are the caller's; or a negative errno. */
static int
ask_primary(enum nfe_mp_type type, uint16_t port_id, int fd, unsigned int seconds,
	    struct rte_mp_msg *out)
{
	const struct timespec deadline = { .tv_sec = seconds };
	struct rte_mp_msg msg = { .name = NFE_MP_ACTION };
	struct nfe_mp_param *p = (struct nfe_mp_param *)msg.param;
	struct rte_mp_reply reply = { 0 };
	int ret;

	msg.len_param = sizeof(*p);
	p->type = type;
	p->port_id = port_id;
	p->owner = owner;
	p->pid = getpid();
	if (fd >= 0)
		msg.fds[msg.num_fds++] = fd;
	if (rte_mp_request_sync(&msg, &reply, &deadline) < 0)
		return -rte_errno;
	ret = reply.nb_received == 1 ? 0 : -ETIMEDOUT;
	if (ret == 0) {
		*out = reply.msgs[0];
		ret = ((const struct nfe_mp_param *)out->param)->result;
	}
	free(reply.msgs);
	return ret;
}

/* Once per process: the gates of all ports know it by one name. */
static int
introduce(struct rte_eth_dev *dev, struct rte_mp_msg *reply)
{
	int fds[2] = { -1, -1 }, ret;

	if (owner == 0 && pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	ret = ask_primary(NFE_MP_ATTACH, dev->data->port_id, fds[0], NFE_MP_ATTACH_S, reply);
	if (fds[0] >= 0)
		close(fds[0]);
	if (ret == 0 && owner == 0) {
		uint32_t mine = ((const struct nfe_mp_param *)reply->param)->owner;

		ret = nfeh_gate_share(mine);
		if (ret == 0) {
			owner = mine;
			alive_fd = fds[1];
			return 0;
		}
		nfe_mp_close_fds(reply);
	}
	if (fds[1] >= 0)
		close(fds[1]);
	return ret;
}

static int
read_link(struct rte_eth_dev *dev __rte_unused, int wait __rte_unused)
{
	return 0; /* the primary keeps it up to date */
}

static const struct eth_dev_ops secondary_ops = {
	.dev_close = nfe_secondary_close,
	.dev_infos_get = nfe_infos_get,
	.is_removed = nfe_is_removed,
	.link_update = read_link,
	.stats_get = NFE_STATS_GET,
	.xstats_get = nfe_xstats_get,
	.xstats_get_names = nfe_xstats_get_names,
	.fw_version_get = nfe_fw_version_get,
	.rxq_info_get = nfe_rxq_info_get,
	.txq_info_get = nfe_txq_info_get,
	.rx_burst_mode_get = nfe_burst_mode_get,
	.tx_burst_mode_get = nfe_burst_mode_get,
	.tx_done_cleanup = nfe_tx_done_cleanup,
};

static void
find_triggers(struct rte_eth_dev *dev, struct secondary *s)
{
	const struct rte_mem_resource *bar;

	if (!nfe_port(dev)->by_iova)
		return;
	bar = nfe_pci_device(dev)->mem_resource;
	s->trig = bar[NFE_BAR_TRIGGER].addr;
	s->trig_stride_log2 =
		rte_read32((uint8_t *)bar[NFE_BAR_REGS].addr + NFE_REG_TRIG_STRIDE_LOG2);
}

static int
init_process(void)
{
	if (rte_mp_action_register(NFE_MP_ACTION, on_sync) < 0 && rte_errno != EEXIST)
		return -rte_errno;
	if (signal_fd < 0)
		signal_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return signal_fd < 0 ? -errno : 0;
}

/* From now on it takes states; NULL: no longer. */
static void
publish(uint16_t id, struct secondary *s)
{
	pthread_mutex_lock(&lock);
	ports[id] = s;
	pthread_mutex_unlock(&lock);
}

static void
secondary_free(struct secondary *s)
{
	unmap(&s->arena);
	unmap(&s->db);
	if (s->kick_fd >= 0)
		close(s->kick_fd);
	free(s);
}

int
nfe_secondary_init(struct rte_eth_dev *dev)
{
	uint16_t id = dev->data->port_id;
	struct secondary *s = calloc(1, sizeof(*s));
	struct rte_mp_msg reply;
	int ret = -ENOMEM;

	dev->dev_ops = &secondary_ops;
	dev->rx_queue_count = nfe_rx_queue_count;
	dev->rx_descriptor_status = nfe_rx_descriptor_status;
	dev->tx_descriptor_status = nfe_tx_descriptor_status;
	if (s == NULL)
		goto fail;
	s->kick_fd = -1;
	ret = init_process();
	if (ret < 0)
		goto fail;
	find_triggers(dev, s);
	publish(id, s);
	ret = introduce(dev, &reply);
	if (ret < 0)
		goto fail;
	pthread_mutex_lock(&lock);
	ret = take_sync(dev, s, &reply);
	pthread_mutex_unlock(&lock);
	nfe_mp_close_fds(&reply);
	if (ret < 0)
		goto fail;
	if (s->arena.addr == NULL)
		NFE_LOG(NOTICE, "%s: statistics only: the primary is in copy mode, or its device "
			"is away", dev->data->name);
	return 0;
fail:
	NFE_LOG(ERR, "%s: not attached to the primary: %s", dev->data->name, strerror(-ret));
	publish(id, NULL);
	if (s != NULL)
		secondary_free(s);
	return ret;
}

int
nfe_secondary_close(struct rte_eth_dev *dev)
{
	struct secondary *s = ports[dev->data->port_id];

	publish(dev->data->port_id, NULL);
	if (s != NULL)
		secondary_free(s);
	return 0;
}

/* Data threads: from within a burst, so the port is open. */
void
nfe_secondary_kick(uint16_t port_id, uint16_t channel)
{
	const struct secondary *s = ports[port_id];

	if (s->trig != NULL)
		rte_write32(1, s->trig + ((size_t)channel << s->trig_stride_log2) + NFE_TRIG_KICK);
	else
		vfio_user_signal(s->kick_fd, signal_fd);
}

void
nfe_secondary_refresh(struct rte_eth_dev *dev)
{
	struct rte_mp_msg reply;

	(void)ask_primary(NFE_MP_STATS, dev->data->port_id, -1, NFE_MP_STATS_S, &reply);
}
