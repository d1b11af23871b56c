/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Page faults of a data lcore, and who pays for them (rule 14). Registered memory is mapped ahead, so
 * a fault on it means that a guest punched holes into its file or had it swapped out. The kernel
 * mends it, at 2 us a page, up to 3000 pages in one turn, and all neighbours wait.
 *
 *          more than WATCH_PER_S faults, whosoever
 *    WATCH ──────────────────────────────────────────► PROBE
 *      ▲                                                 │
 *      └──── as many ms later as there were faults ──────┘
 *
 * Watching is one system call per ms. Probing asks after each step whose memory it was, at 0.2 us a
 * question, and touches what a copy will need before it: pages of the source first, then those of the
 * destination, so that each pays for its own. A frame may need many buffers and become many frames, so
 * the destination's are touched as they are taken, some at a time. Nobody pays for what is left: our
 * own memory, and pages that vanish between touch and copy.
 *
 * Some faults are innocent: hugepages of a file with holes are mapped late, and khugepaged moves up to
 * 8 * 512 pages in 10 s. The allowances are above that.
 *
 * Runs on the data lcore.
 */
#include <rte_cycles.h>

#include <nfed_faults.h>

#include "vsw_internal.h"

#define LOOK_MS 1
#define WATCH_PER_S 1000  /* faults of an lcore that nobody looks into */
#define WATCH_AT_ONCE 1024
#define PROBE_MAX_MS 1000
#define GUEST_PER_S 500   /* that a guest may cause for ever, on each lcore */
#define GUEST_AT_ONCE 2048
#define LAZY_PAGE_SHIFT 21 /* and one per hugepage */
#define WELCOME 64        /* first touches for a new channel; faults that its guest has at least */
#define WELCOMES_PER_S 1
#define WELCOMES_AT_ONCE 4 /* guests may follow each other within a second */

void
vsw_faults_init(struct vsw *sw)
{
	uint64_t hz = rte_get_tsc_hz();

	sw->fault_look_tsc = hz / 1000 * LOOK_MS;
	sw->faults_watch = (struct nfed_allowance_limit){
		WATCH_AT_ONCE, hz / WATCH_PER_S * WATCH_AT_ONCE,
	};
	sw->guest_faults = GUEST_AT_ONCE;
	sw->guest_fault_tsc = hz / GUEST_PER_S;
	sw->welcomes = (struct nfed_allowance_limit){
		WELCOMES_AT_ONCE, hz / WELCOMES_PER_S * WELCOMES_AT_ONCE,
	};
}

void
vsw_faults_look(struct vsw_lcore *lc)
{
	const struct vsw *sw = lc->sw;
	uint64_t now, more;

	if (lc->now - lc->faults_looked < sw->fault_look_tsc)
		return;
	now = nfed_faults_of_thread();
	more = lc->faults_looked == 0 ? 0 : now - lc->faults_seen;
	lc->faults_looked = lc->now;
	lc->faults_seen = now;
	if (more > 0 && nfed_allowance_charge(&lc->faults_watched, &sw->faults_watch, lc->now,
					      (int64_t)more))
		lc->probe_until = lc->now + RTE_MIN(more, (uint64_t)PROBE_MAX_MS) *
				  (rte_get_tsc_hz() / 1000);
	lc->probing = lc->now < lc->probe_until;
}

/* An allowance outlives its guest, which could attach again and again for a new one. But who comes
 * next must get over his first touches. In the long run it adds WELCOMES_PER_S * WELCOME to
 * GUEST_PER_S. */
void
vsw_faults_welcome(struct vsw_lcore *lc, const struct vsw_port *port)
{
	struct nfed_allowance *a = &lc->faults[port->id];

	if (a->counted != 0 && a->left < WELCOME &&
	    nfed_allowance_take(&lc->welcomes[port->id], &lc->sw->welcomes, lc->now, 1))
		a->left = WELCOME;
}

void
vsw_faults_mark(struct vsw_lcore *lc)
{
	lc->faults_marked = nfed_faults_of_thread();
}

void
vsw_faults_charge(struct vsw_lcore *lc, struct nfed_channel *ch)
{
	const struct vsw_port *port = ((struct vsw_chan *)ch->owner_data)->port;
	struct nfed_allowance_limit limit = { .at_once = lc->sw->guest_faults };
	uint64_t before = lc->faults_marked, faults;

	vsw_faults_mark(lc);
	faults = lc->faults_marked - before;
	if (faults == 0)
		return;
	vsw_count(lc, port, NFE_STAT_from_faults, faults);
	limit.at_once += (int64_t)(ch->regions->limits.max_bytes >> LAZY_PAGE_SHIFT);
	limit.refill = (uint64_t)limit.at_once * lc->sw->guest_fault_tsc;
	if (nfed_allowance_charge(&lc->faults[port->id], &limit, lc->now, (int64_t)faults))
		nfed_fault(ch, NFE_REASON_MEMORY_FAULTS);
}

void
vsw_faults_source(struct vsw_lcore *lc, struct nfed_channel *ch)
{
	for (unsigned int i = 0; i < lc->nb_segs; i++)
		nfed_touch(lc->segs[i].addr, lc->segs[i].len);
	nfed_touch(ch->status, NFE_STATUS_SIZE);
	nfed_queue_touch(&ch->sq, 0);
	vsw_faults_charge(lc, ch);
}

void
vsw_faults_sink(struct vsw_lcore *lc, struct nfed_channel *ch)
{
	lc->probe.cells_end = ch->rq.prod;
	lc->probe.first = lc->probe.end = ch->fq.cons;
	vsw_faults_mark(lc);
	nfed_touch(ch->status, NFE_STATUS_SIZE);
	nfed_queue_touch(&ch->rq, 0);
	nfed_queue_touch(&ch->fq, 0);
	vsw_faults_charge(lc, ch);
}

void
vsw_faults_cells(struct vsw_lcore *lc, struct nfed_channel *ch, uint32_t cells)
{
	uint32_t more = RTE_MAX(cells, lc->burst);

	if ((int32_t)(lc->probe.cells_end - ch->rq.prod) >= (int32_t)cells)
		return;
	lc->probe.cells_end = ch->rq.prod + more;
	vsw_faults_mark(lc);
	nfed_queue_touch(&ch->rq, more);
	vsw_faults_charge(lc, ch);
}

/* Take snapshots of the next entries and touch their buffers. */
static void
touch_fills(struct vsw_lcore *lc, struct nfed_channel *ch)
{
	const struct nfed_queue *fq = &ch->fq;
	struct vsw_probe *p = &lc->probe;
	struct nfed_region *region;
	uint8_t *buf;

	p->first = fq->cons;
	p->end = fq->cons + RTE_MIN(fq->prod - fq->cons, (uint32_t)VSW_PROBE_FILLS);
	vsw_faults_mark(lc);
	for (uint32_t i = 0; i < p->end - p->first; i++) {
		nfed_fq_snapshot(fq, i, &p->fill[i]);
		if (nfed_region_at(ch->regions, p->fill[i].key, p->fill[i].offset, fq->buf_size,
				   NFE_ACCESS_WRITE, &region, &buf) == NFED_XLATE_OK)
			nfed_touch(buf, fq->buf_size);
	}
	vsw_faults_charge(lc, ch);
}

void
vsw_faults_fills(struct vsw_lcore *lc, struct nfed_channel *ch, uint32_t n, struct nfe_fill *fill)
{
	struct vsw_probe *p = &lc->probe;

	static_assert(VSW_PROBE_FILLS >= VSW_MAX_BUFS, "all of a frame");
	if (p->end - ch->fq.cons < n)
		touch_fills(lc, ch);
	memcpy(fill, &p->fill[ch->fq.cons - p->first], n * sizeof(*fill));
}
