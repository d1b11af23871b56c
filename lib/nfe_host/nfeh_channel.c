/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Channels and their queues, host end (specification 7.4, 7.5, 8.2): set up on request, remembered,
 * set up again on a new device with the indices that the client gives.
 *
 * Doorbells are written between SET_QUEUE and START, when the device does not look at them. After
 * a replay they cannot lose a wake-up: RQ_EVENT is the device's own next index, so its next
 * publication interrupts, and nfeh_channels_ring_locked() makes a client that sleeps look at once.
 */
#include <errno.h>
#include <string.h>

#include "nfeh_internal.h"

struct chan_args {
	uint16_t channel, vector;
	uint32_t status_key;
	uint64_t status_offset;
	enum nfe_op op; /* START, STOP or DESTROY */
};

struct queue_args {
	uint16_t channel;
	const struct nfeh_queue_conf *conf;
};

static struct nfeh_channel *
find_channel(struct nfeh *h, uint16_t channel)
{
	if (channel == 0 || channel > h->info.max_channels || !h->channels[channel].created)
		return NULL;
	return &h->channels[channel];
}

bool
nfeh_channel_uses_locked(const struct nfeh *h, uint32_t key)
{
	for (uint32_t n = 1; n <= h->info.max_channels; n++) {
		const struct nfeh_channel *ch = &h->channels[n];

		if (!ch->created)
			continue;
		if (ch->status_key == key)
			return true;
		for (unsigned int i = 0; i < NFEH_ROLES; i++)
			if (ch->set[i] && ch->queue[i].key == key)
				return true;
	}
	return false;
}

static int
send_create(struct nfeh *h, uint16_t channel, const struct nfeh_channel *ch)
{
	struct nfe_req req = {
		.chan = {
			.channel = channel,
			.vector = ch->vector,
			.status_key = ch->status_key,
			.status_offset = ch->status_offset,
		},
	};

	return nfeh_call_locked(h, &req, NFE_OP_CREATE_CHANNEL, NULL);
}

static int
create_op(struct nfeh *h, void *arg)
{
	const struct chan_args *a = arg;
	struct nfeh_channel ch = {
		.vector = a->vector,
		.status_key = a->status_key,
		.status_offset = a->status_offset,
	};
	int rc;

	if (a->channel == 0 || a->channel > h->info.max_channels ||
	    (a->vector != NFE_NO_VECTOR && a->vector >= h->info.vectors)) {
		nfeh_log(h, 0, "channel %u of %u, vector %u of %u: out of range", a->channel,
			 h->info.max_channels, a->vector, h->info.vectors);
		return -EINVAL;
	}
	if (h->channels[a->channel].created)
		return -EEXIST;
	if (nfeh_region_find_locked(h, a->status_key) == NULL)
		return -ENOENT;
	rc = send_create(h, a->channel, &ch);
	if (rc < 0)
		return rc;
	ch.created = true;
	h->channels[a->channel] = ch;
	return 0;
}

int
nfeh_channel_create(struct nfeh *h, uint16_t channel, uint16_t vector, uint32_t status_key,
		    uint64_t status_offset)
{
	struct chan_args a = {
		.channel = channel,
		.vector = vector,
		.status_key = status_key,
		.status_offset = status_offset,
	};

	return nfeh_run(h, create_op, &a, false);
}

static int
simple_op(struct nfeh *h, void *arg)
{
	const struct chan_args *a = arg;
	struct nfeh_channel *ch = find_channel(h, a->channel);
	struct nfe_req req = { .chan = { .channel = a->channel } };
	int rc;

	if (ch == NULL)
		return -ENOENT;
	if (h->state == NFEH_STATE_UP) { /* else the device forgot it already */
		rc = nfeh_call_locked(h, &req, a->op, NULL);
		if (rc < 0)
			return rc;
	}
	if (a->op == NFE_OP_DESTROY_CHANNEL)
		memset(ch, 0, sizeof(*ch));
	else
		ch->started = a->op == NFE_OP_START_CHANNEL;
	return 0;
}

int
nfeh_channel_destroy(struct nfeh *h, uint16_t channel)
{
	struct chan_args a = { .channel = channel, .op = NFE_OP_DESTROY_CHANNEL };

	return nfeh_run(h, simple_op, &a, true);
}

int
nfeh_channel_start(struct nfeh *h, uint16_t channel)
{
	struct chan_args a = { .channel = channel, .op = NFE_OP_START_CHANNEL };

	return nfeh_run(h, simple_op, &a, false);
}

int
nfeh_channel_stop(struct nfeh *h, uint16_t channel)
{
	struct chan_args a = { .channel = channel, .op = NFE_OP_STOP_CHANNEL };

	return nfeh_run(h, simple_op, &a, true);
}

static void
write_doorbell(struct nfeh *h, uint16_t channel, uint32_t reg, uint32_t value)
{
	nfe_idx_publish((uint32_t *)(void *)(nfeh_doorbells(h, channel) + reg), value);
}

/* In ring mode the device takes the host's index from the ring; the doorbells don't matter. */
static void
write_doorbells(struct nfeh *h, uint16_t channel, enum nfe_role role, uint32_t prod, uint32_t cons)
{
	switch (role) {
	case NFE_ROLE_SQ:
		write_doorbell(h, channel, NFE_DB_SQ_PROD, prod);
		write_doorbell(h, channel, NFE_DB_SQ_DONE_EVENT, cons - 1); /* not asked for */
		break;
	case NFE_ROLE_RQ:
		write_doorbell(h, channel, NFE_DB_RQ_CONS, cons);
		write_doorbell(h, channel, NFE_DB_RQ_EVENT, prod); /* the next publication */
		break;
	case NFE_ROLE_FQ:
		write_doorbell(h, channel, NFE_DB_FQ_PROD, prod);
		break;
	case NFE_ROLE_CQ:
		break;
	}
}

static int
send_queue(struct nfeh *h, uint16_t channel, const struct nfeh_queue_conf *q, uint32_t prod,
	   uint32_t cons)
{
	struct nfe_req req = {
		.queue = {
			.channel = channel,
			.role = (uint8_t)q->role,
			.flags = q->flags,
			.size_log2 = q->size_log2,
			.capacity = q->capacity,
			.buf_size = q->buf_size,
			.key = q->key,
			.prod = prod,
			.cons = cons,
			.entries = q->entries,
			.host_idx = q->host_idx,
			.dev_idx = q->dev_idx,
		},
	};
	int rc = nfeh_call_locked(h, &req, NFE_OP_SET_QUEUE, NULL);

	if (rc == 0)
		write_doorbells(h, channel, q->role, prod, cons);
	return rc;
}

static int
set_op(struct nfeh *h, void *arg)
{
	const struct queue_args *a = arg;
	const struct nfeh_queue_conf *q = a->conf;
	struct nfeh_channel *ch = find_channel(h, a->channel);
	int rc;

	if (ch == NULL || nfeh_region_find_locked(h, q->key) == NULL)
		return -ENOENT;
	if (ch->started)
		return -EBUSY;
	if (q->size_log2 < h->info.queue_log2_min || q->size_log2 > h->info.queue_log2_max) {
		nfeh_log(h, 0, "channel %u: queue of 2^%u entries, device takes 2^%u..2^%u",
			 a->channel, q->size_log2, h->info.queue_log2_min, h->info.queue_log2_max);
		return -EINVAL;
	}
	rc = send_queue(h, a->channel, q, q->resume ? q->prod : q->first_index,
			q->resume ? q->cons : q->first_index);
	if (rc < 0)
		return rc;
	ch->queue[q->role - 1] = *q;
	ch->set[q->role - 1] = true;
	return 0;
}

int
nfeh_queue_set(struct nfeh *h, uint16_t channel, const struct nfeh_queue_conf *conf)
{
	struct queue_args a = { .channel = channel, .conf = conf };

	if (conf->role < NFE_ROLE_SQ || conf->role > NFE_ROLE_FQ)
		return -EOPNOTSUPP; /* 7.5: completion queues are for RDMA */
	return nfeh_run(h, set_op, &a, false);
}

/*
 * Once per restart, however many attempts it takes: a new device zeroes the status blocks that the
 * client may look at.
 */
void
nfeh_channels_note_locked(struct nfeh *h)
{
	for (uint32_t n = 1; n <= h->info.max_channels; n++) {
		struct nfeh_channel *ch = &h->channels[n];

		for (unsigned int i = 0; ch->created && i < NFEH_ROLES; i++) {
			const struct nfeh_queue_conf *q = &ch->queue[i];

			ch->prod[i] = ch->cons[i] = q->first_index;
			if (ch->set[i] && h->ops.indices != NULL)
				h->ops.indices(h->ctx, (uint16_t)n, q->role, &ch->prod[i],
					       &ch->cons[i]);
		}
	}
}

int
nfeh_channel_replay_locked(struct nfeh *h, uint16_t channel)
{
	struct nfeh_channel *ch = &h->channels[channel];
	struct nfe_req start = { .chan = { .channel = channel } };
	int rc = send_create(h, channel, ch);

	if (rc < 0) {
		nfeh_log(h, 0, "channel %u refused: %s", channel, strerror(-rc));
		return rc;
	}
	for (unsigned int i = 0; i < NFEH_ROLES; i++) {
		if (!ch->set[i])
			continue;
		rc = send_queue(h, channel, &ch->queue[i], ch->prod[i], ch->cons[i]);
		if (rc < 0) {
			nfeh_log(h, 0, "channel %u role %u: queue with indices %u, %u refused: %s",
				 channel, i + 1, ch->prod[i], ch->cons[i], strerror(-rc));
			return rc;
		}
	}
	if (!ch->started)
		return 0;
	rc = nfeh_call_locked(h, &start, NFE_OP_START_CHANNEL, NULL);
	if (rc < 0)
		nfeh_log(h, 0, "channel %u does not start: %s", channel, strerror(-rc));
	return rc;
}

/* After the thaw. The device may have missed kicks, and sleeping clients interrupts: wake both. */
void
nfeh_channels_ring_locked(struct nfeh *h)
{
	for (uint32_t n = 1; n <= h->info.max_channels; n++) {
		const struct nfeh_channel *ch = &h->channels[n];

		if (!ch->started)
			continue;
		h->bus->ops->kick(h->bus, n);
		if (ch->vector != NFE_NO_VECTOR)
			nfe_bus_irq_raise(h->bus, ch->vector);
	}
}
