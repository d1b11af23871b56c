/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Channels of the port, and what the host end asks of us when the device died (specification 8).
 *
 * Queue i of either direction is part of channel i + 1, which lives on the device as long as one of
 * them is started. A channel that only receives gets a send queue that nobody uses, because the
 * device wants one. Status blocks and those unused queues lie in one zone of the port.
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
#include "nfe_mp.h"

#define FREEZE_LOOK_MS 1u   /* with the lock; a burst of 32 takes 1..10 us */
#define FREEZE_PAUSE_MS 10u /* without it, in between */

/* Where queues of a channel stand, by role - 1. */
struct chan_at {
	uint32_t prod[NFE_ROLE_FQ], cons[NFE_ROLE_FQ];
};

static uint32_t
unused_size_log2(const struct nfe_port *port)
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
	port->chan_stride = RTE_ALIGN_CEIL(NFE_STATUS_SIZE +
					   (NFE_MSG_SIZE << unused_size_log2(port)),
					   NFE_STATUS_ALIGN);
	return nfe_zone_alloc(port, "channels", (size_t)nb_channels * port->chan_stride,
			      port->dev->data->numa_node, &port->chan);
}

void
nfe_chan_free(struct nfe_port *port)
{
	nfe_zone_free(port, &port->chan);
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
indices_locked(struct nfe_port *port, uint16_t i, enum nfe_role role, uint32_t *prod,
	       uint32_t *cons)
{
	struct nfe_rxq *rxq = port->rxq[i];
	struct nfe_txq *txq = port->txq[i];

	*prod = *cons = port->first_index; /* of a send queue that nobody uses */
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
}

static int
set_queue(struct nfe_port *port, uint16_t i, struct nfeh_queue_conf *conf, const struct chan_at *at)
{
	conf->first_index = port->first_index;
	conf->resume = true;
	conf->prod = at->prod[conf->role - 1];
	conf->cons = at->cons[conf->role - 1];
	return nfeh_queue_set(port->h, i + 1, conf);
}

static int
set_sq(struct nfe_port *port, uint16_t i, const struct nfe_txq *q, const struct chan_at *at)
{
	struct nfeh_queue_conf conf = {
		.role = NFE_ROLE_SQ,
		.size_log2 = unused_size_log2(port),
		.key = port->chan.key,
		.entries = port->chan.offset + (uint64_t)i * port->chan_stride + NFE_STATUS_SIZE,
	};

	if (q != NULL) {
		conf.size_log2 = rte_log2_u32(q->size);
		conf.key = q->zone.key;
		conf.entries = q->zone.offset;
	}
	conf.capacity = 1u << conf.size_log2;
	return set_queue(port, i, &conf, at);
}

static int
set_rq_fq(struct nfe_port *port, uint16_t i, const struct nfe_rxq *q, const struct chan_at *at)
{
	struct nfeh_queue_conf conf = {
		.role = NFE_ROLE_RQ,
		.flags = port->rx_intr ? NFE_QUEUE_F_EVENT : 0,
		.size_log2 = rte_log2_u32(q->size),
		.capacity = q->size,
		.key = q->zone.key,
		.entries = q->zone.offset,
	};
	int ret = set_queue(port, i, &conf, at);

	if (ret < 0)
		return ret;
	conf.role = NFE_ROLE_FQ;
	conf.flags = 0;
	conf.entries += (uint64_t)q->size * NFE_MSG_SIZE;
	conf.buf_size = q->buf_size;
	return set_queue(port, i, &conf, at);
}

static unsigned int
chan_gates_locked(struct nfe_port *port, uint16_t i, struct nfeh_gate *gates[2])
{
	unsigned int n = 0;

	if (port->rxq[i] != NULL)
		gates[n++] = &port->rxq[i]->gate;
	if (port->txq[i] != NULL)
		gates[n++] = &port->txq[i]->gate;
	return n;
}

/* No data thread uses the channel's queues until chan_release(), not even after a replay. */
static int
chan_hold(struct nfe_port *port, uint16_t i)
{
	struct nfeh_gate *gates[2];
	unsigned int n;
	int ret = 0;

	pthread_mutex_lock(&port->lock);
	port->held = i + 1u;
	n = chan_gates_locked(port, i, gates);
	if (n > 0)
		ret = nfeh_gates_close(gates, n, NFE_GATE_TIMEOUT_MS);
	pthread_mutex_unlock(&port->lock);
	return ret;
}

/* What is on the channel now may be used. Frozen: thaw opens, and the first burst fills. Who sleeps
 * may have armed the queue while it was made anew and seen nothing of what lies in it. */
static void
chan_release(struct nfe_port *port, uint16_t i)
{
	struct nfeh_gate *gates[2];

	pthread_mutex_lock(&port->lock);
	port->held = 0;
	if (!port->frozen) {
		if (port->rxq[i] != NULL)
			nfe_rx_refill(port->rxq[i]);
		nfeh_gates_open(gates, chan_gates_locked(port, i, gates));
		if (port->rx_intr && port->rxq[i] != NULL)
			nfeh_irq_raise(port->h, i + 1);
	}
	pthread_mutex_unlock(&port->lock);
}

/* From here on a replay knows these queues; others find their gates closed. */
static void
chan_enlist(struct nfe_port *port, uint16_t i, struct nfe_rxq *rxq, struct nfe_txq *txq)
{
	pthread_mutex_lock(&port->lock);
	if (rxq != NULL)
		nfe_mp_check_gate_locked(&rxq->gate);
	if (txq != NULL)
		nfe_mp_check_gate_locked(&txq->gate);
	port->rxq[i] = rxq;
	port->txq[i] = txq;
	pthread_mutex_unlock(&port->lock);
}

/* Until it succeeds the device may still write into posted buffers: they stay where they are. */
static int
chan_destroy(struct nfe_port *port, uint16_t i, struct chan_at *at)
{
	int ret = nfeh_channel_stop(port->h, i + 1);

	if (ret < 0 && ret != -EALREADY)
		goto log;
	pthread_mutex_lock(&port->lock);
	for (unsigned int role = NFE_ROLE_SQ; role <= NFE_ROLE_FQ; role++)
		indices_locked(port, i, role, &at->prod[role - 1], &at->cons[role - 1]);
	pthread_mutex_unlock(&port->lock);
	ret = nfeh_channel_destroy(port->h, i + 1);
	if (ret == 0) {
		chan_enlist(port, i, NULL, NULL);
		return 0;
	}
log:
	NFE_LOG(ERR, "%s ch%u: not stopped: %s", port->name, i + 1, strerror(-ret));
	return ret;
}

static void
chan_connect_queues(struct nfe_port *port, uint16_t i, struct nfe_rxq *rxq, struct nfe_txq *txq,
		    const struct chan_at *at)
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
		rxq->db_event = (uint32_t *)(db + NFE_DB_RQ_EVENT);
	}
	/* Until the device writes the same. */
	memset(status, 0, sizeof(*status));
	status->sq_cons = at->cons[NFE_ROLE_SQ - 1];
	status->rq_prod = at->prod[NFE_ROLE_RQ - 1];
}

static int
chan_create(struct nfe_port *port, uint16_t i, struct nfe_rxq *rxq, struct nfe_txq *txq,
	    const struct chan_at *at)
{
	uint64_t status_offset = port->chan.offset + (uint64_t)i * port->chan_stride;
	uint16_t vector = NFE_NO_VECTOR;
	int ret;

	if (port->rx_intr && rxq != NULL)
		vector = i + 1;
	chan_connect_queues(port, i, rxq, txq, at);
	chan_enlist(port, i, rxq, txq);
	ret = nfeh_channel_create(port->h, i + 1, vector, port->chan.key, status_offset);
	if (ret < 0)
		goto delist;
	ret = set_sq(port, i, txq, at);
	if (ret == 0 && rxq != NULL)
		ret = set_rq_fq(port, i, rxq, at);
	if (ret == 0)
		ret = nfeh_channel_start(port->h, i + 1);
	if (ret == 0)
		return 0;
	nfeh_channel_destroy(port->h, i + 1);
delist:
	chan_enlist(port, i, NULL, NULL);
	NFE_LOG(ERR, "%s ch%u: not started: %s", port->name, i + 1, strerror(-ret));
	return ret;
}

static void
at_start(const struct nfe_port *port, enum nfe_role role, struct chan_at *at)
{
	at->prod[role - 1] = at->cons[role - 1] = port->first_index;
}

/* A channel's queues can only be set while it is stopped, and none can be taken back: it is made
 * anew, and what stays goes on where it stood. */
int
nfe_chan_set(struct nfe_port *port, uint16_t i, struct nfe_rxq *rxq, struct nfe_txq *txq)
{
	const struct nfe_rxq *old_rxq = port->rxq[i];
	const struct nfe_txq *old_txq = port->txq[i];
	struct chan_at at = { 0 };
	int ret = chan_hold(port, i);

	if (ret == 0 && (old_rxq != NULL || old_txq != NULL))
		ret = chan_destroy(port, i, &at);
	if (old_txq == NULL || txq == NULL)
		at_start(port, NFE_ROLE_SQ, &at);
	if (old_rxq == NULL || rxq == NULL) {
		at_start(port, NFE_ROLE_RQ, &at);
		at_start(port, NFE_ROLE_FQ, &at);
	}
	if (ret == 0 && (rxq != NULL || txq != NULL))
		ret = chan_create(port, i, rxq, txq, &at);
	chan_release(port, i);
	return ret;
}

static unsigned int
port_gates_locked(struct nfe_port *port, struct nfeh_gate *gates[2 * NFE_MAX_QUEUES])
{
	unsigned int n = 0;

	for (uint16_t i = 0; i < NFE_MAX_QUEUES; i++)
		n += chan_gates_locked(port, i, &gates[n]);
	return n;
}

static void
open_gates_locked(struct nfe_port *port)
{
	struct nfeh_gate *gates[2];

	for (uint16_t i = 0; i < NFE_MAX_QUEUES; i++)
		if (i + 1u != port->held)
			nfeh_gates_open(gates, chan_gates_locked(port, i, gates));
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
		open_gates_locked(port);
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

static void
indices(void *ctx, uint16_t channel, enum nfe_role role, uint32_t *prod, uint32_t *cons)
{
	struct nfe_port *port = ctx;

	if (channel == 0 || channel > NFE_MAX_QUEUES) {
		*prod = *cons = port->first_index;
		return;
	}
	pthread_mutex_lock(&port->lock);
	indices_locked(port, channel - 1, role, prod, cons);
	pthread_mutex_unlock(&port->lock);
}

/* Secondaries first, so that nobody rings a dead device's doorbells. */
static void
thaw(void *ctx)
{
	struct nfe_port *port = ctx;

	port->reset_asked = 0;
	nfe_mp_sync(port);
	pthread_mutex_lock(&port->lock);
	open_gates_locked(port);
	port->frozen = false;
	pthread_mutex_unlock(&port->lock);
}

static void
link_changed(void *ctx, bool up)
{
	struct nfe_port *port = ctx;
	struct rte_eth_dev *dev = port->dev;

	rte_atomic_store_explicit(&port->link_up, up, rte_memory_order_release);
	if (!rte_atomic_load_explicit(&port->probed, rte_memory_order_acquire))
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
	.refused = nfe_refused,
};
