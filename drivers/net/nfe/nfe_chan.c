/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Channels of the port, and what the host end asks of us when the device died (specification 8).
 *
 * Queue i of either direction is part of channel i + 1. A channel lives on the device from start to
 * stop of the port. A channel that only receives gets a send queue that nobody uses, because the
 * device wants one. Status blocks and those stubs lie in one zone of the port.
 *
 *      freeze   gates closed: what was published until then goes to the next device
 *      indices  for each queue, from its status block, before the next device zeroes that
 *      thaw     gates open
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "nfe_ethdev.h"

#define FREEZE_LOOK_MS 1u   /* with the lock; a burst of 32 takes 1..10 us */
#define FREEZE_PAUSE_MS 10u /* without it, in between */

static uint32_t
stub_size_log2(const struct nfe_port *port)
{
	return nfeh_info(port->h)->queue_log2_min;
}

static uint8_t *
chan_base(const struct nfe_port *port, uint16_t i)
{
	return port->chan.addr + (size_t)i * port->chan_stride;
}

struct nfe_status *
nfe_chan_status(const struct nfe_port *port, uint16_t i)
{
	return (struct nfe_status *)chan_base(port, i);
}

int
nfe_chan_setup(struct nfe_port *port, uint16_t nb_channels)
{
	nfe_chan_free(port);
	port->chan_stride = RTE_ALIGN_CEIL(NFE_STATUS_SIZE + (NFE_MSG_SIZE << stub_size_log2(port)),
					   NFE_STATUS_ALIGN);
	return nfe_zone_alloc(port, "channels", (size_t)nb_channels * port->chan_stride,
			      port->dev->data->numa_node, &port->chan);
}

void
nfe_chan_free(struct nfe_port *port)
{
	nfe_zone_free(port, &port->chan);
}

static int
set_sq(struct nfe_port *port, uint16_t i, const struct nfe_txq *q)
{
	struct nfeh_queue_conf conf = {
		.role = NFE_ROLE_SQ,
		.size_log2 = stub_size_log2(port),
		.key = port->chan.key,
		.entries = port->chan.offset + (uint64_t)i * port->chan_stride + NFE_STATUS_SIZE,
		.first_index = port->first_index,
	};

	if (q != NULL) {
		conf.size_log2 = rte_log2_u32(q->size);
		conf.key = q->zone.key;
		conf.entries = q->zone.offset;
	}
	conf.capacity = 1u << conf.size_log2;
	return nfeh_queue_set(port->h, i + 1, &conf);
}

static int
set_rq_fq(struct nfe_port *port, uint16_t i, const struct nfe_rxq *q)
{
	struct nfeh_queue_conf conf = {
		.role = NFE_ROLE_RQ,
		.size_log2 = rte_log2_u32(q->size),
		.capacity = q->size,
		.key = q->zone.key,
		.entries = q->zone.offset,
		.first_index = port->first_index,
	};
	int ret = nfeh_queue_set(port->h, i + 1, &conf);

	if (ret < 0)
		return ret;
	conf.role = NFE_ROLE_FQ;
	conf.entries += (uint64_t)q->size * NFE_MSG_SIZE;
	conf.buf_size = q->buf_size;
	return nfeh_queue_set(port->h, i + 1, &conf);
}

/* From here on a replay knows the queues, or no longer does (both NULL). */
static void
chan_enlist(struct nfe_port *port, uint16_t i, struct nfe_rxq *rxq, struct nfe_txq *txq)
{
	pthread_mutex_lock(&port->lock);
	port->rxq[i] = rxq;
	port->txq[i] = txq;
	if (rxq != NULL)
		__atomic_store_n(&rxq->gate.closed, port->frozen, __ATOMIC_RELEASE);
	if (txq != NULL)
		__atomic_store_n(&txq->gate.closed, port->frozen, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&port->lock);
}

static void
chan_connect_queues(struct nfe_port *port, uint16_t i, struct nfe_rxq *rxq, struct nfe_txq *txq)
{
	uint8_t *db = nfeh_doorbells(port->h, i + 1);
	struct nfe_status *status = nfe_chan_status(port, i);

	if (txq != NULL) {
		txq->status = status;
		txq->db_prod = (uint32_t *)(db + NFE_DB_SQ_PROD);
	}
	if (rxq != NULL) {
		rxq->status = status;
		rxq->db_cons = (uint32_t *)(db + NFE_DB_RQ_CONS);
		rxq->db_fill_prod = (uint32_t *)(db + NFE_DB_FQ_PROD);
	}
	/* Until the device writes the same: it has consumed and sent nothing. */
	memset(status, 0, sizeof(*status));
	status->sq_cons = port->first_index;
	status->rq_prod = port->first_index;
}

int
nfe_chan_start(struct nfe_port *port, uint16_t i, struct nfe_rxq *rxq, struct nfe_txq *txq)
{
	uint64_t status_offset = port->chan.offset + (uint64_t)i * port->chan_stride;
	int ret;

	chan_connect_queues(port, i, rxq, txq);
	chan_enlist(port, i, rxq, txq);
	ret = nfeh_channel_create(port->h, i + 1, NFE_NO_VECTOR, port->chan.key, status_offset);
	if (ret < 0)
		goto delist;
	ret = set_sq(port, i, txq);
	if (ret == 0 && rxq != NULL)
		ret = set_rq_fq(port, i, rxq);
	if (ret == 0)
		ret = nfeh_channel_start(port->h, i + 1);
	if (ret < 0)
		goto destroy;
	/* Closed: the device died again, and the first burst will fill. */
	if (rxq != NULL && nfeh_gate_enter(&rxq->gate)) {
		nfe_rx_refill(rxq);
		nfeh_gate_leave(&rxq->gate);
	}
	return 0;

destroy:
	nfeh_channel_destroy(port->h, i + 1);
delist:
	chan_enlist(port, i, NULL, NULL);
	NFE_LOG(ERR, "%s ch%u: not started: %s", port->name, i + 1, strerror(-ret));
	return ret;
}

/* Until it succeeds the device may still write into posted buffers: the caller keeps them. */
int
nfe_chan_stop(struct nfe_port *port, uint16_t i)
{
	int ret = nfeh_channel_destroy(port->h, i + 1); /* stops it first */

	if (ret < 0) {
		NFE_LOG(ERR, "%s ch%u: not stopped: %s", port->name, i + 1, strerror(-ret));
		return ret;
	}
	chan_enlist(port, i, NULL, NULL);
	return 0;
}

static unsigned int
port_gates_locked(struct nfe_port *port, struct nfeh_gate *gates[2 * NFE_MAX_QUEUES])
{
	unsigned int n = 0;

	for (uint16_t i = 0; i < NFE_MAX_QUEUES; i++) {
		if (port->rxq[i] != NULL)
			gates[n++] = &port->rxq[i]->gate;
		if (port->txq[i] != NULL)
			gates[n++] = &port->txq[i]->gate;
	}
	return n;
}

bool
nfe_port_frozen(struct nfe_port *port)
{
	bool frozen;

	pthread_mutex_lock(&port->lock);
	frozen = port->frozen;
	pthread_mutex_unlock(&port->lock);
	return frozen;
}

int
nfe_port_quiesce(struct nfe_port *port)
{
	struct nfeh_gate *gates[2 * NFE_MAX_QUEUES];
	unsigned int n;
	int ret = 0;

	pthread_mutex_lock(&port->lock);
	n = port_gates_locked(port, gates);
	if (n > 0)
		ret = nfeh_gates_close(gates, n, NFE_GATE_TIMEOUT_MS);
	if (!port->frozen) /* else freeze() may still wait for the last one to leave */
		nfeh_gates_open(gates, n);
	pthread_mutex_unlock(&port->lock);
	return ret;
}

/* Queues enlisted from now on are closed. A short wait, since others want the lock. */
static int
close_gates(struct nfe_port *port)
{
	struct nfeh_gate *gates[2 * NFE_MAX_QUEUES];
	int ret;

	pthread_mutex_lock(&port->lock);
	port->frozen = true;
	ret = nfeh_gates_close(gates, port_gates_locked(port, gates), FREEZE_LOOK_MS);
	pthread_mutex_unlock(&port->lock);
	return ret;
}

/* The old device was left before: from here on both ends' indices stand still, but not before the
 * last burst is over: one that goes on during the replay would move an index that is taken for
 * the last word. So only the end of the burst, or detach, ends this. */
static void
freeze(void *ctx)
{
	struct nfe_port *port = ctx;
	const uint64_t start = rte_get_timer_cycles(), hz = rte_get_timer_hz();
	uint64_t warned_s = 0;
	int ret;

	while ((ret = close_gates(port)) < 0) {
		uint64_t waited_s = (rte_get_timer_cycles() - start) / hz;

		if (nfeh_wait_detach(port->h, FREEZE_PAUSE_MS))
			return;
		if (waited_s == warned_s)
			continue;
		warned_s = waited_s;
		if (ret == -ETIMEDOUT)
			NFE_LOG(WARNING, "%s: a data thread is in a burst for %" PRIu64 " s, no "
				"replay before it ends", port->name, waited_s);
		else
			NFE_LOG(WARNING, "%s: data threads cannot be stopped: %s, no replay",
				port->name, strerror(-ret));
	}
}

/* 8.2: go on where the old device was seen last. Its indices are data until compared (rule 3). */
static uint32_t
last_sq_cons(struct nfe_txq *q)
{
	uint32_t cons = nfe_idx_read(&q->status->sq_cons);

	if (q->prod - cons <= q->prod - q->cons)
		return cons;
	q->count.bad_index++;
	return q->cons;
}

static void
indices(void *ctx, uint16_t channel, enum nfe_role role, uint32_t *prod, uint32_t *cons)
{
	struct nfe_port *port = ctx;
	struct nfe_rxq *rxq;
	struct nfe_txq *txq;

	*prod = *cons = port->first_index; /* a stub */
	if (channel == 0 || channel > NFE_MAX_QUEUES)
		return;
	pthread_mutex_lock(&port->lock);
	rxq = port->rxq[channel - 1];
	txq = port->txq[channel - 1];
	if (role == NFE_ROLE_SQ && txq != NULL) {
		*prod = txq->prod;
		*cons = last_sq_cons(txq);
	} else if (role == NFE_ROLE_RQ && rxq != NULL) {
		*prod = rxq->cons + nfe_rx_avail(rxq);
		*cons = rxq->cons;
	} else if (role == NFE_ROLE_FQ && rxq != NULL) {
		*prod = rxq->fill_prod;
		*cons = nfe_rx_scan_fill_end(rxq);
	}
	pthread_mutex_unlock(&port->lock);
}

static void
thaw(void *ctx)
{
	struct nfe_port *port = ctx;
	struct nfeh_gate *gates[2 * NFE_MAX_QUEUES];

	pthread_mutex_lock(&port->lock);
	nfeh_gates_open(gates, port_gates_locked(port, gates));
	port->frozen = false;
	pthread_mutex_unlock(&port->lock);
}

static void
link_changed(void *ctx, bool up)
{
	struct nfe_port *port = ctx;
	struct rte_eth_dev *dev = port->dev;

	__atomic_store_n(&port->link_up, up, __ATOMIC_RELEASE);
	if (!__atomic_load_n(&port->probed, __ATOMIC_ACQUIRE))
		return;
	NFE_LOG(NOTICE, "%s: link %s", port->name, up ? "up" : "down");
	if (nfe_link_update(dev, 0) == 0 && dev->data->dev_conf.intr_conf.lsc)
		rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_LSC, NULL);
}

const struct nfeh_client_ops nfe_client_ops = {
	.link = link_changed,
	.freeze = freeze,
	.indices = indices,
	.thaw = thaw,
};
