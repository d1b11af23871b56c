/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Primary's side of secondary processes, see nfe_mp.h. Requests come on EAL's message thread, the
 * end of a process on its interrupt thread; one lock serves all ports, since a process has one name
 * for the gates of all of them. Lock order: this one, sync_lock, then nfeh's, then port->lock.
 *
 * A process that ends within a burst leaves the gate closed to everybody, and a queue in which some
 * words are of before and some of after. What was sent is forgotten, because nobody knows which of
 * its mbufs are free already: they leak, rather than be freed twice. Receive queues go on where
 * they stand; the checks against the device are good against that as well.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_interrupts.h>

#include "nfe_ethdev.h"
#include "nfe_mp.h"

struct peer { /* a secondary process; by owner - NFE_MP_FIRST_OWNER */
	RTE_ATOMIC(struct rte_intr_handle *) handle; /* with its pipe; NULL: free */
	int32_t pid;
};

static pthread_mutex_t mp_lock = PTHREAD_MUTEX_INITIALIZER;
static struct peer peers[NFE_MP_PEERS];
static struct nfe_port *served[RTE_MAX_ETHPORTS];
/* States are numbered in the order in which they are read; who attaches while a port starts is
 * among the peers, or reads that it runs. */
static pthread_mutex_t sync_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_seq;
static unsigned int nb_peers;

/* Up to prod the device was told of. What it gets besides its own words is checked as always. */
static unsigned int
tx_abandon(struct nfe_txq *q)
{
	uint32_t prod = nfe_idx_read(q->db_prod);
	unsigned int leaked = q->nb_done;

	for (uint32_t i = 0; i < q->size; i++)
		leaked += q->sw[i] != NULL;
	memset(q->sw, 0, q->size * sizeof(q->sw[0]));
	q->nb_held = 0;
	q->nb_done = 0;
	if (q->prod - prod <= q->prod - q->cons)
		q->prod = prod;
	return leaked;
}

/* The one that may have been freed a moment before it was to be forgotten. */
static unsigned int
rx_abandon(struct nfe_rxq *q)
{
	struct rte_mbuf **sw = &q->sw[q->fill_end & q->mask];
	unsigned int leaked = *sw != NULL;

	*sw = NULL;
	return leaked;
}

static void
port_abandon(struct nfe_port *port, uint32_t owner, int32_t pid)
{
	pthread_mutex_lock(&port->lock);
	for (uint16_t i = 0; i < NFE_MAX_QUEUES; i++) {
		struct nfe_rxq *rxq = port->rxq[i];
		struct nfe_txq *txq = port->txq[i];

		if (rxq != NULL && nfeh_gate_inside(&rxq->gate) == owner) {
			NFE_LOG(WARNING, "%s: process %d ended within a burst of rx queue %u, %u "
				"mbufs are lost", port->name, pid, i, rx_abandon(rxq));
			nfeh_gate_leave(&rxq->gate);
		}
		if (txq != NULL && nfeh_gate_inside(&txq->gate) == owner) {
			NFE_LOG(WARNING, "%s: process %d ended within a burst of tx queue %u, %u "
				"mbufs are lost", port->name, pid, i, tx_abandon(txq));
			nfeh_gate_leave(&txq->gate);
		}
	}
	pthread_mutex_unlock(&port->lock);
}

static void
count_peers(int change)
{
	pthread_mutex_lock(&sync_lock);
	nb_peers += (unsigned int)change;
	pthread_mutex_unlock(&sync_lock);
}

static void
peer_close(struct rte_intr_handle *handle, void *arg __rte_unused)
{
	close(rte_intr_fd_get(handle));
}

/* EAL's interrupt thread. */
static void
peer_ended(void *arg)
{
	struct peer *peer = arg;
	struct rte_intr_handle *handle;
	uint32_t owner = NFE_MP_FIRST_OWNER + (uint32_t)(peer - peers);

	pthread_mutex_lock(&mp_lock);
	handle = peer->handle;
	for (unsigned int i = 0; i < RTE_MAX_ETHPORTS; i++)
		if (served[i] != NULL)
			port_abandon(served[i], owner, peer->pid);
	peer->handle = NULL;
	count_peers(-1);
	pthread_mutex_unlock(&mp_lock);
	rte_intr_callback_unregister_pending(handle, peer_ended, peer, peer_close);
	rte_intr_instance_free(handle); /* EAL has a copy of it */
}

void
nfe_mp_check_gate_locked(struct nfeh_gate *gate)
{
	uint32_t i = nfeh_gate_inside(gate) - NFE_MP_FIRST_OWNER;

	if (i < NFE_MP_PEERS &&
	    rte_atomic_load_explicit(&peers[i].handle, rte_memory_order_relaxed) == NULL)
		nfeh_gate_leave(gate);
}

static int
peer_watch(struct peer *peer, int fd)
{
	int ret = -ENOMEM;

	peer->handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (peer->handle == NULL)
		return ret;
	if (rte_intr_fd_set(peer->handle, fd) == 0 &&
	    rte_intr_type_set(peer->handle, RTE_INTR_HANDLE_EXT) == 0)
		ret = rte_intr_callback_register(peer->handle, peer_ended, peer);
	if (ret == 0)
		return 0;
	rte_intr_instance_free(peer->handle);
	peer->handle = NULL;
	return ret;
}

/* fd is taken over if it succeeds. */
static int
peer_add_locked(const struct nfe_mp_param *req, int fd, uint32_t *owner)
{
	int ret;

	for (uint32_t i = 0; i < NFE_MP_PEERS; i++) {
		if (peers[i].handle != NULL)
			continue;
		peers[i].pid = req->pid;
		ret = peer_watch(&peers[i], fd);
		if (ret < 0)
			return ret;
		count_peers(1);
		*owner = i + NFE_MP_FIRST_OWNER;
		return 0;
	}
	return -ENOSPC;
}

/* With sync_lock. Descriptors of the message are the caller's to close, but for the arena's. */
static void
fill_sync(struct nfe_port *port, struct rte_mp_msg *msg)
{
	struct nfe_mp_param *p = (struct nfe_mp_param *)msg->param;
	struct nfe_bus_share share;

	memset(msg, 0, sizeof(*msg));
	snprintf(msg->name, sizeof(msg->name), "%s", NFE_MP_ACTION);
	msg->len_param = sizeof(*p);
	p->type = NFE_MP_SYNC;
	p->port_id = port->port_id;
	p->seq = ++last_seq;
	p->started = rte_atomic_load_explicit(&port->running, rte_memory_order_acquire) != 0;
	if (port->share != NULL || (!port->pci && nfeh_share(port->h, &share) < 0))
		return; /* copy mode, or the device is away: another message follows then */
	p->arena = (uintptr_t)port->arena.addr;
	p->arena_len = port->arena.len;
	msg->fds[NFE_MP_FD_ARENA] = port->arena.fd;
	msg->num_fds = 1;
	if (port->pci)
		return;
	p->db = (uintptr_t)nfeh_doorbells(port->h, 0);
	p->db_len = share.db_len;
	p->db_offset = share.db_offset;
	msg->fds[NFE_MP_FD_DB] = share.db_fd;
	msg->fds[NFE_MP_FD_KICK] = share.kick_fd;
	msg->num_fds = NFE_MP_FDS;
}

static void
close_sync(const struct rte_mp_msg *msg)
{
	for (int i = NFE_MP_FD_DB; i < msg->num_fds; i++)
		close(msg->fds[i]);
}

void
nfe_mp_sync(struct nfe_port *port)
{
	const struct timespec deadline = { .tv_sec = NFE_MP_SYNC_S };
	struct rte_mp_reply reply = { 0 };
	struct rte_mp_msg msg;
	bool alone;

	pthread_mutex_lock(&sync_lock);
	alone = nb_peers == 0;
	if (!alone)
		fill_sync(port, &msg);
	pthread_mutex_unlock(&sync_lock);
	if (alone)
		return;
	if (rte_mp_request_sync(&msg, &reply, &deadline) < 0 ||
	    reply.nb_received != reply.nb_sent)
		NFE_LOG(WARNING, "%s: %d of %d secondary processes do not answer within %u s",
			port->name, reply.nb_sent - reply.nb_received, reply.nb_sent,
			NFE_MP_SYNC_S);
	free(reply.msgs);
	close_sync(&msg);
}

/* Gates are shared from now on, so that the primary's fence reaches the secondary's threads. */
static void
answer_attach_locked(struct nfe_port *port, const struct rte_mp_msg *in, struct rte_mp_msg *out)
{
	const struct nfe_mp_param *req = (const struct nfe_mp_param *)in->param;
	struct nfe_mp_param *p = (struct nfe_mp_param *)out->param;
	uint32_t owner = req->owner;
	int ret = nfeh_gate_share(1);

	if (ret == 0 && owner == 0)
		ret = in->num_fds == 1 ? peer_add_locked(req, in->fds[0], &owner) : -EPROTO;
	if (ret == 0) {
		pthread_mutex_lock(&sync_lock);
		fill_sync(port, out);
		pthread_mutex_unlock(&sync_lock);
	}
	if (ret < 0)
		nfe_mp_close_fds(in);
	p->owner = owner;
	p->result = ret;
	NFE_LOG(NOTICE, "%s: secondary process %d %s", port->name, req->pid,
		ret == 0 ? "attached" : strerror(-ret));
}

/* EAL's message thread. */
static int
on_request(const struct rte_mp_msg *in, const void *peer)
{
	const struct nfe_mp_param *req = (const struct nfe_mp_param *)in->param;
	struct rte_mp_msg out = { .name = NFE_MP_ACTION, .len_param = sizeof(*req) };
	struct nfe_mp_param *p = (struct nfe_mp_param *)out.param;
	struct nfe_port *port;
	int ret;

	pthread_mutex_lock(&mp_lock);
	port = req->port_id < RTE_MAX_ETHPORTS ? served[req->port_id] : NULL;
	p->result = -ENODEV;
	if (port != NULL && req->type == NFE_MP_ATTACH)
		answer_attach_locked(port, in, &out);
	else
		nfe_mp_close_fds(in);
	if (port != NULL && req->type == NFE_MP_STATS) {
		nfe_stats_refresh(port);
		p->result = 0;
	}
	pthread_mutex_unlock(&mp_lock);
	ret = rte_mp_reply(&out, peer);
	close_sync(&out);
	return ret;
}

void
nfe_kick(const struct nfe_port *port, uint16_t channel)
{
	if (likely(rte_eal_process_type() == RTE_PROC_PRIMARY))
		nfeh_kick(port->h, channel);
	else
		nfe_secondary_kick(port->port_id, channel);
}

/* Without shared memory EAL has no messages, and nobody can attach. */
void
nfe_mp_serve(struct nfe_port *port)
{
	if (rte_mp_action_register(NFE_MP_ACTION, on_request) < 0 && rte_errno != EEXIST &&
	    rte_errno != ENOTSUP)
		NFE_LOG(WARNING, "%s: no secondary can attach: %s", port->name,
			rte_strerror(rte_errno));
	pthread_mutex_lock(&mp_lock);
	served[port->port_id] = port;
	pthread_mutex_unlock(&mp_lock);
}

void
nfe_mp_leave(struct nfe_port *port)
{
	pthread_mutex_lock(&mp_lock);
	served[port->port_id] = NULL;
	pthread_mutex_unlock(&mp_lock);
}
