/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Channels of a function: their states, the regions they hold, and the two calls that data lcores
 * make, nfed_fault() and nfed_interrupt(). All else runs on the control thread.
 *
 *    NONE ── create ──► STOPPED ◄── start/stop ──► RUNNING
 *     ▲                    │                          │
 *     └──── destroy ───────┴──── function fails ──────┴──► ERROR ── reset ──► NONE
 *
 * Between owner's channel_start and channel_stop the queues belong to the owner's lcores.
 */
#include <stdio.h>

#include "nfed_internal.h"

void
nfed_channels_init(struct nfed_function *fn)
{
	for (unsigned int n = 0; n <= NFED_MAX_CHANNELS; n++) {
		struct nfed_channel *ch = &fn->channel[n];
		void *owner_data = ch->owner_data;

		memset(ch, 0, sizeof(*ch));
		ch->fn = fn;
		ch->regions = &fn->regions;
		ch->number = (uint16_t)n;
		ch->vector = NFE_NO_VECTOR;
		ch->owner_data = owner_data;
	}
}

void
nfed_status_report(struct nfe_status *status, enum nfe_chan_state state, enum nfe_reason reason)
{
	if (status == NULL)
		return;
	__atomic_store_n(&status->reason, (uint32_t)reason, __ATOMIC_RELAXED);
	/* release: who sees the state sees its reason */
	__atomic_store_n(&status->state, (uint32_t)state, __ATOMIC_RELEASE);
}

static void
channel_set_state(struct nfed_channel *ch, enum nfe_chan_state state, enum nfe_reason reason)
{
	ch->state = state;
	if (!ch->fn->dma_off)
		nfed_status_report(ch->status, state, reason);
}

int
nfed_channel_run(struct nfed_channel *ch)
{
	struct nfed_function *fn = ch->fn;
	int rc = fn->conf.owner_ops->channel_start(fn->conf.owner, ch);

	if (rc < 0)
		return nfed_refuse(&fn->counters.denied, rc);
	channel_set_state(ch, NFE_CHAN_RUNNING, NFE_REASON_NONE);
	return 0;
}

void
nfed_channel_halt(struct nfed_channel *ch)
{
	if (ch->state != NFE_CHAN_RUNNING)
		return;
	ch->fn->conf.owner_ops->channel_stop(ch->fn->conf.owner, ch);
	channel_set_state(ch, NFE_CHAN_STOPPED, NFE_REASON_NONE);
}

void
nfed_channel_fail(struct nfed_channel *ch, enum nfe_reason reason)
{
	enum nfe_reason own = (enum nfe_reason)__atomic_load_n(&ch->fault, __ATOMIC_ACQUIRE);

	if (ch->state != NFE_CHAN_NONE)
		channel_set_state(ch, NFE_CHAN_ERROR, own != NFE_REASON_NONE ? own : reason);
}

void
nfed_channel_drop_queue(struct nfed_channel *ch, struct nfed_queue *q)
{
	if (q->role == 0)
		return;
	ch->fn->regions.tbl[q->region_idx].users--;
	memset(q, 0, sizeof(*q));
}

static void
drop_status(struct nfed_channel *ch)
{
	if (ch->status == NULL)
		return;
	ch->status = NULL;
	ch->fn->regions.tbl[ch->status_region_idx].users--;
	ch->status_region_idx = 0;
}

void
nfed_channel_release(struct nfed_channel *ch)
{
	nfed_channel_halt(ch);
	nfed_channel_drop_queue(ch, &ch->sq);
	nfed_channel_drop_queue(ch, &ch->rq);
	nfed_channel_drop_queue(ch, &ch->fq);
	channel_set_state(ch, NFE_CHAN_NONE, NFE_REASON_NONE);
	drop_status(ch);
	ch->vector = NFE_NO_VECTOR;
}

/*
 * The region is about to go and the function has failed: no lcore uses this channel. A queue
 * also points into the status block for its index, so without the block no queue may stay.
 */
void
nfed_channel_forget_region(struct nfed_channel *ch, uint16_t region_idx)
{
	bool all = ch->status != NULL && ch->status_region_idx == region_idx;
	struct nfed_queue *queue[] = { &ch->sq, &ch->rq, &ch->fq };

	for (unsigned int i = 0; i < sizeof(queue) / sizeof(queue[0]); i++)
		if (queue[i]->role != 0 && (all || queue[i]->region_idx == region_idx))
			nfed_channel_drop_queue(ch, queue[i]);
	if (all)
		drop_status(ch);
}

/* Data lcores. Only the first reason counts; the control thread fails the function. */
void
nfed_fault(struct nfed_channel *ch, enum nfe_reason reason)
{
	const struct nfed_function_conf *conf = &ch->fn->conf;
	uint32_t none = NFE_REASON_NONE;

	if (!__atomic_compare_exchange_n(&ch->fault, &none, (uint32_t)reason, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return;
	if (conf->owner_ops->attention != NULL)
		conf->owner_ops->attention(conf->owner);
}

/* Data lcores. */
void
nfed_interrupt(struct nfed_channel *ch)
{
	const struct nfed_function_conf *conf = &ch->fn->conf;

	if (ch->vector != NFE_NO_VECTOR && conf->transport->interrupt != NULL)
		conf->transport->interrupt(conf->transport_ctx, ch->vector);
}
