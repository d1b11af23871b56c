/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Set-up and release of queues, on the control path while the queue is stopped. Each queue owns one
 * zone that the device shares (cells; for receiving also the fill entries) and its private mbuf
 * array. The device learns of them when the port starts (nfe_chan.c).
 */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "nfe_ethdev.h"
#include "nfe_tx_hints.h"

#define NFE_DEFAULT_FREE_THRESH 32u

static int
check_nb_desc(const struct nfe_port *port, const char *direction, uint16_t id, uint16_t nb_desc)
{
	if (rte_is_power_of_2(nb_desc))
		return 0;
	NFE_LOG(ERR, "%s: %s queue %u: %u descriptors, not a power of two", port->name, direction,
		id, nb_desc);
	return -EINVAL;
}

static int
check_free_thresh(const struct nfe_port *port, const char *direction, uint16_t id, uint16_t thresh,
		  uint16_t nb_desc)
{
	if (thresh < nb_desc)
		return 0;
	NFE_LOG(ERR, "%s: %s queue %u: free threshold %u, limit %u", port->name, direction, id,
		thresh, nb_desc - 1);
	return -EINVAL;
}

static uint32_t
default_free_thresh(uint16_t nb_desc)
{
	return RTE_MIN(NFE_DEFAULT_FREE_THRESH, nb_desc / 4u);
}

/* Memory of one queue that the device can reach in one region. */
static int
queue_memory(struct nfe_port *port, const char *direction, uint16_t id, size_t len, int socket,
	     struct nfe_zone *zone)
{
	char what[24];

	snprintf(what, sizeof(what), "%s queue %u", direction, id);
	return nfe_zone_alloc(port, what, len, socket, zone);
}

static void
tx_queue_free(struct nfe_txq *q)
{
	if (q == NULL)
		return;
	nfe_copy_tx_free(q);
	nfe_zone_free(q->port, &q->zone);
	rte_free(q->sw);
	rte_free(q);
}

static void
rx_queue_free(struct nfe_rxq *q)
{
	if (q == NULL)
		return;
	nfe_copy_rx_free(q);
	nfe_zone_free(q->port, &q->zone);
	rte_free(q->sw);
	rte_free(q);
}

static void
tx_queue_limits(struct nfe_txq *q)
{
	const struct nfeh_info *info = nfeh_info(q->port->h);
	/* tx_room() counts on messages of at most half the queue. */
	uint32_t longest = NFE_INLINE_ONE + (q->size / 2 - 1) * NFE_MSG_SIZE;

	q->inline_max = NFE_INLINE_ONE;
	if (info->features & NFE_F_INLINE_LONG)
		q->inline_max = RTE_MIN(info->inline_to_device, longest);
	q->inline_len = RTE_MIN(q->inline_max, q->port->inline_len);
	q->short_len = RTE_MIN(q->inline_len, NFE_INLINE_SHORT);
	q->max_segs = 1;
	if (info->features & NFE_F_MULTI_SEG)
		q->max_segs = RTE_MIN(info->max_segs, NFE_MAX_SEGS);
	q->max_frame = info->max_frame;
	q->send_flags = 0;
	if (info->features & NFE_F_CSUM_TO_DEVICE)
		q->send_flags |= NFE_MSG_F_CSUM_PARTIAL;
	if (info->features & NFE_F_GSO_TO_DEVICE)
		q->send_flags |= NFE_MSG_F_GSO;
	q->hint_flags = RTE_MBUF_F_TX_VLAN;
	if (q->send_flags != 0 && q->port->share == NULL)
		q->hint_flags |= NFE_TX_HINTED;
}

int
nfe_tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc, unsigned int socket,
		   const struct rte_eth_txconf *conf)
{
	struct nfe_port *port = nfe_port(dev);
	uint64_t offloads = conf->offloads | dev->data->dev_conf.txmode.offloads;
	struct nfe_txq *q;
	int ret = check_nb_desc(port, "tx", id, nb_desc);

	if (ret == 0)
		ret = check_free_thresh(port, "tx", id, conf->tx_free_thresh, nb_desc);
	if (ret < 0)
		return ret;
	q = rte_zmalloc_socket("nfe_txq", sizeof(*q), RTE_CACHE_LINE_SIZE, socket);
	if (q == NULL)
		return -ENOMEM;
	q->port = port;
	q->queue_id = id;
	q->channel = id + 1;
	q->size = nb_desc;
	q->mask = nb_desc - 1;
	q->deferred = conf->tx_deferred_start;
	q->gate.closed = 1; /* until it is started */
	q->free_thresh = conf->tx_free_thresh ? conf->tx_free_thresh : default_free_thresh(nb_desc);
	q->fast_free = offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	q->nb_kept = RTE_MIN(NFE_TX_KEPT, nb_desc / 2u);
	tx_queue_limits(q);
	ret = -ENOMEM;
	q->sw = rte_zmalloc_socket("nfe_tx_sw", nb_desc * sizeof(*q->sw), 0, socket);
	if (q->sw != NULL)
		ret = queue_memory(port, "tx", id, (size_t)nb_desc * NFE_MSG_SIZE, socket,
				   &q->zone);
	if (ret == 0 && port->share != NULL)
		ret = nfe_copy_tx_setup(q, socket);
	if (ret < 0) {
		tx_queue_free(q);
		return ret;
	}
	q->cells = q->zone.addr;
	nfe_tx_queue_reset(q);
	dev->data->tx_queues[id] = q;
	return 0;
}

static int
check_pool(struct nfe_port *port, uint16_t id, struct rte_mempool *pool)
{
	const void *where;
	int ret;

	if (pool == NULL)
		return -ENOTSUP; /* buffer split */
	if (rte_pktmbuf_data_room_size(pool) < RTE_PKTMBUF_HEADROOM + NFE_MSG_SIZE) {
		NFE_LOG(ERR, "%s: rx queue %u: pool %s has data rooms of %u bytes, at least %u",
			port->name, id, pool->name, rte_pktmbuf_data_room_size(pool),
			RTE_PKTMBUF_HEADROOM + NFE_MSG_SIZE);
		return -EINVAL;
	}
	if (port->share != NULL)
		return 0; /* frames are copied into it */
	if (rte_pktmbuf_priv_flags(pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) {
		NFE_LOG(ERR, "%s: rx queue %u: pool %s has external buffers", port->name, id,
			pool->name);
		return -ENOTSUP;
	}
	ret = nfe_mem_check_pool(port, pool, &where);
	if (ret < 0)
		NFE_LOG(ERR, "%s: rx queue %u: memory of pool %s at %p can't be shared with the "
			"device: " NFE_MEM_UNSHARED, port->name, id, pool->name, where);
	return ret;
}

/* What messages may tell beside the frame, and what of it is wanted. */
static void
rx_queue_offloads(struct nfe_rxq *q, uint64_t offloads)
{
	uint64_t features = nfeh_info(q->port->h)->features;

	q->take_flags = (features & NFE_F_CSUM_OK ? NFE_MSG_F_CSUM_OK : 0) |
			(features & NFE_F_RSS ? NFE_MSG_F_HASH : 0);
	q->csum = offloads & (RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
	q->vlan_strip = offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
}

static void
rx_queue_limits(struct nfe_rxq *q, bool scatter)
{
	const struct nfeh_info *info = nfeh_info(q->port->h);
	uint32_t room = rte_pktmbuf_data_room_size(q->pool) - RTE_PKTMBUF_HEADROOM;

	q->buf_size = RTE_ALIGN_FLOOR(room, NFE_MSG_SIZE); /* whole cache lines, 7.5 */
	q->inline_max = NFE_INLINE_ONE;
	if (info->features & NFE_F_INLINE_LONG)
		q->inline_max = RTE_MIN(info->inline_to_host, q->buf_size);
	nfe_rx_set_short(q);
	q->max_segs = 1;
	if (scatter)
		q->max_segs = RTE_MIN(info->max_segs, NFE_MAX_SEGS);
	q->max_frame = info->max_frame;
}

int
nfe_rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc, unsigned int socket,
		   const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	struct nfe_port *port = nfe_port(dev);
	struct nfe_rxq *q;
	size_t len = (size_t)nb_desc * (NFE_MSG_SIZE + sizeof(struct nfe_fill));
	int ret = check_nb_desc(port, "rx", id, nb_desc);

	if (ret == 0)
		ret = check_free_thresh(port, "rx", id, conf->rx_free_thresh, nb_desc);
	if (ret == 0)
		ret = check_pool(port, id, pool);
	if (ret < 0)
		return ret;
	q = rte_zmalloc_socket("nfe_rxq", sizeof(*q), RTE_CACHE_LINE_SIZE, socket);
	if (q == NULL)
		return -ENOMEM;
	q->port = port;
	q->port_id = dev->data->port_id;
	q->queue_id = id;
	q->channel = id + 1;
	q->pool = pool;
	q->size = nb_desc;
	q->mask = nb_desc - 1;
	q->fill_max = nb_desc;
	q->deferred = conf->rx_deferred_start;
	q->gate.closed = 1; /* until it is started */
	q->free_thresh = conf->rx_free_thresh ? conf->rx_free_thresh : default_free_thresh(nb_desc);
	rx_queue_limits(q, dev->data->scattered_rx);
	rx_queue_offloads(q, dev->data->dev_conf.rxmode.offloads);
	ret = -ENOMEM;
	q->sw = rte_zmalloc_socket("nfe_rx_sw", nb_desc * sizeof(*q->sw), 0, socket);
	if (q->sw != NULL)
		ret = queue_memory(port, "rx", id, len, socket, &q->zone);
	if (ret == 0 && port->share != NULL)
		ret = nfe_copy_rx_setup(q, socket);
	if (ret < 0) {
		rx_queue_free(q);
		return ret;
	}
	q->cells = q->zone.addr;
	q->fill = q->cells + (size_t)nb_desc * NFE_MSG_SIZE;
	nfe_rx_queue_reset(q);
	dev->data->rx_queues[id] = q;
	return 0;
}

/* Mbufs of messages that nobody consumes any more. */
void
nfe_tx_queue_reset(struct nfe_txq *q)
{
	for (uint32_t i = 0; i < q->size; i++) {
		rte_pktmbuf_free(q->sw[i]);
		q->sw[i] = NULL;
	}
	q->nb_held = 0;
	q->prod = q->cons = q->port->first_index;
	if (q->port->h != NULL) /* else detached: cells of copy mode are gone */
		memset(q->cells, 0, (size_t)q->size * NFE_MSG_SIZE); /* rule 15 */
}

/* Posted mbufs, also those with frames that nobody polled for. */
void
nfe_rx_queue_reset(struct nfe_rxq *q)
{
	for (uint32_t i = 0; i < q->size; i++) {
		rte_pktmbuf_free(q->sw[i]);
		q->sw[i] = NULL;
	}
	nfe_copy_rx_reset(q);
	q->cons = q->fill_prod = q->fill_end = q->port->first_index;
	if (q->port->h != NULL) /* as above */
		memset(q->cells, 0, (size_t)q->size * (NFE_MSG_SIZE + sizeof(struct nfe_fill)));
}

void
nfe_tx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	tx_queue_free(dev->data->tx_queues[id]);
	dev->data->tx_queues[id] = NULL;
}

void
nfe_rx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	rx_queue_free(dev->data->rx_queues[id]);
	dev->data->rx_queues[id] = NULL;
}

void
nfe_rxq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_rxq_info *info)
{
	const struct nfe_rxq *q = dev->data->rx_queues[id];

	info->mp = q->bounce != NULL ? nfe_copy_rx_pool(q) : q->pool;
	info->nb_desc = q->size;
	info->rx_buf_size = q->buf_size;
	info->scattered_rx = dev->data->scattered_rx;
	info->conf.rx_free_thresh = q->free_thresh;
	info->conf.rx_drop_en = 1;
	info->conf.rx_deferred_start = q->deferred;
	info->conf.offloads = dev->data->dev_conf.rxmode.offloads;
}

void
nfe_txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info)
{
	const struct nfe_txq *q = dev->data->tx_queues[id];

	info->nb_desc = q->size;
	info->conf.tx_free_thresh = q->free_thresh;
	info->conf.tx_deferred_start = q->deferred;
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
}

/* Cells, which is frames as long as they are short. */
static uint32_t
rx_cells_done(const struct nfe_rxq *q)
{
	uint32_t avail;

	if (q->status == NULL)
		return 0; /* never started */
	avail = nfe_idx_read(&q->status->rq_prod) - q->cons;
	return avail <= q->size ? avail : 0;
}

nfe_rx_count_t
nfe_rx_queue_count(void *queue)
{
	return rx_cells_done(queue) + nfe_copy_rx_pending(queue);
}

int
nfe_rx_descriptor_status(void *queue, uint16_t offset)
{
	const struct nfe_rxq *q = queue;

	if (offset >= q->size)
		return -EINVAL;
	return offset < rx_cells_done(q) ? RTE_ETH_RX_DESC_DONE : RTE_ETH_RX_DESC_AVAIL;
}

/* Offset 0 is the cell that the next frame goes into: the oldest one of a full queue. */
int
nfe_tx_descriptor_status(void *queue, uint16_t offset)
{
	const struct nfe_txq *q = queue;
	uint32_t pending;

	if (offset >= q->size)
		return -EINVAL;
	if (q->status == NULL)
		return RTE_ETH_TX_DESC_DONE;
	pending = q->prod - nfe_idx_read(&q->status->sq_cons);
	return q->size - offset <= pending && pending <= q->size ? RTE_ETH_TX_DESC_FULL
								 : RTE_ETH_TX_DESC_DONE;
}

int
nfe_tx_done_cleanup(void *queue, uint32_t free_cnt)
{
	struct nfe_txq *q = queue;
	uint32_t freed;

	if (!nfeh_gate_enter(&q->gate))
		return 0;
	freed = nfe_tx_reclaim(q, free_cnt == 0 ? UINT32_MAX : free_cnt, 0, 0);
	nfeh_gate_leave(&q->gate);
	return freed;
}

int
nfe_burst_mode_get(struct rte_eth_dev *dev, uint16_t id __rte_unused,
		   struct rte_eth_burst_mode *mode)
{
	snprintf(mode->info, sizeof(mode->info), "%s",
		 nfe_port(dev)->share != NULL ? "Scalar, copy" : "Scalar");
	return 0;
}
