/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A data lcore: polls what is hot, sleeps when nothing is. A channel's life on its lcore:
 *
 *            no work for idle_us            armed, still empty
 *     HOT ───────────────────────► (arm) ──────────────────────► IDLE
 *      ▲ ▲                           │ work came meanwhile         │
 *      │ └───────────────────────────┘                             │
 *      └──────────────────────── kick ─────────────────────────────┘
 *
 * VIFs share an lcore's time by deficit round robin: each round grants a VIF a quantum of bytes, what
 * it sends is taken off, and it sits out while it is overdrawn. A cell costs VSW_CELL_COST besides its
 * bytes, so that small frames pay for their work. Channels of a VIF take turns within its share, so
 * more channels bring no more. An uplink has a share as a VIF of UPLINK_WEIGHT: else a wire full of
 * long frames, 32 of them a round, would take several times what VIFs get, and VIFs that flood
 * would leave it 32 short ones, whatever they cost. Who is alone is never held back.
 *
 * A VIF with a rate limit that is used up is not looked at (vsw_rate.h); its channels stay hot, or fall
 * idle when their queues are empty.
 *
 * While others keep the lcore busy, a channel that has come back within RETURN_IDLES times idle_us stays
 * hot for so long the next time: it costs a look per round, and its guest no kicks. Else 64 guests who
 * take turns, each with a burst every 300 us, would all be kicked for each burst. An lcore that has
 * nothing to do lets go after idle_us and sleeps. Where an lcore shares its CPU with others, idle_us is
 * shared_idle_us (vsw_cpu.c).
 *
 * Idle channels cost nothing: they are not looked at. Kicks are eventfds in an edge-triggered
 * epoll set, so they are never read, and a busy lcore asks for them every LOOK_US only, and not at all
 * while nobody is idle: the system call takes 0.1 to 1.2 us, and frames wait. Where a VIF kicks again
 * and again without work for any of its channels here, they stay hot for STORM_US: its kicks then mean
 * nothing (rule 10). A kick is for all channels, so it is no storm if one of them has work each time.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "vsw_internal.h"

#define SLEEP_MAX_US 1000000
#define EPOLL_BATCH 64
#define RETURN_IDLES 10
#define UPLINK_WEIGHT 4 /* it brings frames for many */

/* idle_us as it stands for an lcore now. */
static uint64_t
idle_tsc(const struct vsw_lcore *lc)
{
	return unlikely(lc->now < lc->shared_until) ? lc->sw->shared_idle_tsc : lc->sw->idle_tsc;
}

/* How long an lcore polls without work before it sleeps: not less than it would sleep. */
static uint64_t
rest_tsc(const struct vsw_lcore *lc)
{
	uint64_t idle = idle_tsc(lc);

	return lc->nb_uplinks != 0 && idle < lc->sw->uplink_rest_tsc ? lc->sw->uplink_rest_tsc : idle;
}

static void
make_hot(struct vsw_lcore *lc, struct vsw_chan *c, bool kicked)
{
	struct vsw_share *share = &lc->share[c->port->id];

	if (c->hot)
		return;
	c->hot = true;
	if (kicked && share->kicked == 0)
		share->kicked = lc->now;
	c->returns = kicked && lc->now - c->last_work < RETURN_IDLES * idle_tsc(lc);
	c->last_work = lc->now;
	lc->nb_hot++;
	if (share->nb_hot++ > 0) { /* last in turn */
		c->next = share->next;
		c->prev = share->next->prev;
		c->prev->next = c->next->prev = c;
		return;
	}
	share->next = c->next = c->prev = c;
	share->rate = c->port->rate.tsc_unit != 0 ? &c->port->rate : NULL;
	share->weight = RTE_MAX(c->port->conf.weight, 1u);
	share->at = lc->nb_active;
	lc->active[lc->nb_active++] = share;
}

static void
make_cold(struct vsw_lcore *lc, struct vsw_chan *c)
{
	struct vsw_share *share = &lc->share[c->port->id], *last;

	c->hot = false;
	lc->nb_hot--;
	c->prev->next = c->next;
	c->next->prev = c->prev;
	if (share->next == c)
		share->next = c->next;
	if (--share->nb_hot > 0)
		return;
	last = lc->active[--lc->nb_active];
	last->at = share->at;
	lc->active[last->at] = last;
}

/* Counts kicks that brought no work within idle_us, be the CPU shared or not: a VIF with channels on several
 * lcores wakes all of them for one. True: too many, hold the channels hot. */
static bool
is_storm(struct vsw_lcore *lc, struct vsw_share *share)
{
	if (share->kicked == 0 || lc->now - share->kicked < lc->sw->idle_tsc)
		return false;
	share->kicked = 0;
	if (lc->now - share->storm_since > lc->sw->storm_tsc) {
		share->storm_since = lc->now;
		share->spurious = 0;
	}
	if (++share->spurious < VSW_STORM_KICKS)
		return false;
	share->spurious = 0;
	lc->counters->kick_storms++;
	return true;
}

/* HOT -> IDLE if it has been quiet for long enough. */
static void
try_idle(struct vsw_lcore *lc, struct vsw_chan *c)
{
	uint64_t quiet = lc->now - c->last_work, idle = idle_tsc(lc);
	struct vsw_share *share = &lc->share[c->port->id];

	if (quiet < idle || lc->now < share->hold_until || !c->may_idle)
		return;
	if (c->returns && quiet < RETURN_IDLES * idle && lc->now - lc->last_work < idle)
		return;
	if (is_storm(lc, share))
		share->hold_until = lc->now + lc->sw->hold_tsc;
	else if (c->ch->fault == 0 && !nfed_sq_arm(&c->ch->sq))
		c->last_work = lc->now;
	else
		make_cold(lc, c);
}

/* Each lcore with channels of the port sees the kick; that of the first one counts it. */
static void
port_kicked(struct vsw_lcore *lc, struct vsw_port *port)
{
	bool first = true;

	for (unsigned int i = 1; i <= NFED_MAX_CHANNELS; i++) {
		struct vsw_chan *c = __atomic_load_n(&port->chan[i], __ATOMIC_ACQUIRE);

		if (c == NULL)
			continue;
		if (c->lcore == lc) {
			vsw_count(lc, port, NFE_STAT_from_kicks, first);
			make_hot(lc, c, true);
		}
		first = false;
	}
}

/* What the kernel tells about this thread, when it is time to ask. */
static void
look_at_thread(struct vsw_lcore *lc)
{
	vsw_faults_look(lc);
	vsw_cpu_look(lc);
}

/* Look for kicks and mail; timeout_us 0: just look, at this thread too, which who sleeps has done before.
 * While it waits the lcore holds nothing (RCU offline), so the control thread never waits for a
 * sleeper. */
void
vsw_lcore_look(struct vsw_lcore *lc, unsigned int timeout_us)
{
	struct timespec ts = { .tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000 };
	struct epoll_event ev[EPOLL_BATCH];
	uint64_t junk;
	int n;

	if (timeout_us != 0)
		rte_rcu_qsbr_thread_offline(lc->sw->qsbr, lc->index);
	n = epoll_pwait2(lc->epfd, ev, EPOLL_BATCH, &ts, NULL);
	if (timeout_us != 0)
		rte_rcu_qsbr_thread_online(lc->sw->qsbr, lc->index);
	lc->now = rte_rdtsc();
	lc->last_look = lc->now;
	if (timeout_us == 0)
		look_at_thread(lc);
	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr != NULL)
			port_kicked(lc, ev[i].data.ptr);
		else if (read(lc->wake_fd, &junk, sizeof(junk)) > 0)
			lc->counters->wakes++;
	}
}

static void
sleep_until_kick(struct vsw_lcore *lc)
{
	lc->counters->sleeps++;
	look_at_thread(lc); /* not behind it: who woke us would wait, 6 to 17 us with caches gone cold */
	vsw_lcore_look(lc, lc->nb_uplinks != 0 ? lc->sw->conf.uplink_poll_us : SLEEP_MAX_US);
}

static unsigned int
chan_poll(struct vsw_lcore *lc, struct vsw_chan *c)
{
	const struct vsw_datapath *dp = lc->sw->datapath;
	unsigned int n;

	nfed_sq_prefetch(&c->ch->sq, 0, NFE_CELLS_FIRST); /* before the index: 2 % better than after it */
	/* Most polls of a quiet lcore end here, and a frame waits for half a round of them (two channels: 140
	 * cycles, now 95). */
	if (nfed_queue_is_empty(&c->ch->sq) && !lc->probing)
		return 0;
	if (likely(!lc->probing))
		return dp->chan_poll(lc, c);
	vsw_faults_mark(lc);
	n = dp->chan_poll(lc, c);
	if (n == 0) /* it saw nothing but this guest's memory */
		vsw_faults_charge(lc, c->ch);
	return n;
}

/* While the VIF's rate limit has nothing left, its channels look empty. */
static __rte_noinline unsigned int
limited_poll(struct vsw_lcore *lc, struct vsw_rate *rate, struct vsw_chan *c)
{
	const uint64_t *sent = &lc->cnt[c->port->id][NFE_STAT_from_bytes];
	uint64_t before = *sent;
	unsigned int cells;

	if (!vsw_rate_allows(rate, lc->now))
		return 0;
	cells = chan_poll(lc, c);
	vsw_count(lc, c->port, NFE_STAT_from_rate_waits, vsw_rate_charge(rate, *sent - before));
	return cells;
}

static void
share_grant(struct vsw_lcore *lc, struct vsw_share *share, int64_t quantum, bool alone)
{
	share->deficit = alone ? quantum : RTE_MIN(share->deficit + lc->rounds * quantum, quantum);
}

static bool
share_sits_out(struct vsw_lcore *lc, const struct vsw_share *share, int64_t quantum)
{
	if (share->deficit > 0)
		return false;
	lc->rounds_need = RTE_MIN(lc->rounds_need, 1 - share->deficit / quantum);
	return true;
}

/* A round of one uplink. Frames that it is not granted wait in its queue. True: it had work. */
static bool
uplink_turn(struct vsw_lcore *lc, struct vsw_port *port)
{
	struct vsw_share *share = &lc->share[port->id];
	bool alone = lc->nb_active == 0 && lc->nb_uplinks == 1;
	int64_t quantum = lc->quantum * UPLINK_WEIGHT;
	unsigned int n = VSW_UPLINK_BURST, polls = UPLINK_WEIGHT * lc->burst / VSW_UPLINK_BURST;
	bool work = false;

	share_grant(lc, share, quantum, alone);
	for (unsigned int i = 0; i < polls && n == VSW_UPLINK_BURST; i++) {
		if (!alone && share_sits_out(lc, share, quantum)) {
			lc->uplink_busy = true;
			break;
		}
		n = lc->sw->datapath->uplink_poll(lc, port);
		if (n == 0)
			break;
		share->deficit -= (int64_t)(lc->cost + (uint64_t)n * VSW_CELL_COST);
		lc->uplink_busy = work = true;
		if (lc->running)
			rte_rcu_qsbr_quiescent(lc->sw->qsbr, lc->index);
	}
	return work;
}

/* A round of one VIF: its hot channels in turn, each once per unit of its weight at most, as far as
 * its bytes go. True: it had work. */
static bool
share_turn(struct vsw_lcore *lc, struct vsw_share *share)
{
	unsigned int polls = share->nb_hot * share->weight, empty = 0, cells;
	bool alone = lc->nb_active == 1 && !lc->uplink_busy, work = false;
	int64_t quantum = lc->quantum * share->weight;
	struct vsw_chan *c;

	share_grant(lc, share, quantum, alone);
	for (; polls > 0 && empty < share->nb_hot; polls--) {
		if (!alone && share_sits_out(lc, share, quantum))
			break;
		c = share->next;
		share->next = c->next;
		cells = likely(share->rate == NULL) ? chan_poll(lc, c) :
						      limited_poll(lc, share->rate, c);
		if (cells != 0) {
			share->deficit -= (int64_t)(lc->cost + (uint64_t)cells * VSW_CELL_COST);
			c->last_work = lc->now;
			share->kicked = 0;
			work = true;
			empty = 0;
		} else {
			empty++;
			try_idle(lc, c);
		}
		/* A channel holds nothing between its turns: nobody waits for a whole round. */
		if (lc->running)
			rte_rcu_qsbr_quiescent(lc->sw->qsbr, lc->index);
	}
	return work;
}

/* If all who have work sat out, the next round grants what the first of them needs. */
bool
vsw_lcore_turn(struct vsw_lcore *lc)
{
	uint64_t start = lc->now;
	bool work = false, held;

	lc->rounds_need = INT64_MAX;
	lc->uplink_busy = false;
	for (unsigned int i = 0; i < lc->nb_uplinks; i++)
		work |= uplink_turn(lc, lc->uplinks[i]);
	for (unsigned int i = 0; i < lc->nb_active;) {
		struct vsw_share *share = lc->active[i];

		work |= share_turn(lc, share);
		if (share->nb_hot > 0) /* else another stands here */
			i++;
	}
	held = lc->rounds_need != INT64_MAX;
	lc->rounds = work || !held ? 1 : lc->rounds_need;
	work |= held;
	lc->now = rte_rdtsc();
	lc->counters->loops++;
	if (work) {
		lc->last_work = lc->now;
		lc->counters->busy_cycles += lc->now - start;
	} else {
		lc->counters->idle_cycles += lc->now - start;
	}
	return work;
}

static int
add_chan(struct vsw_lcore *lc, struct vsw_chan *c)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = c->port };

	if (c->port->data_kick_fd >= 0 &&
	    epoll_ctl(lc->epfd, EPOLL_CTL_ADD, c->port->data_kick_fd, &ev) != 0 && errno != EEXIST)
		return -errno;
	lc->all[lc->nb_all++] = c;
	vsw_faults_welcome(lc, c->port);
	make_hot(lc, c, false);
	return 0;
}

static void
del_chan(struct vsw_lcore *lc, struct vsw_chan *c)
{
	bool last = true;

	if (c->hot)
		make_cold(lc, c);
	for (unsigned int i = 0; i < lc->nb_all; i++)
		if (lc->all[i] == c)
			lc->all[i--] = lc->all[--lc->nb_all];
		else if (lc->all[i]->port == c->port)
			last = false;
	if (last && c->port->data_kick_fd >= 0)
		epoll_ctl(lc->epfd, EPOLL_CTL_DEL, c->port->data_kick_fd, NULL);
}

static void
mail_handle(struct vsw_lcore *lc, struct vsw_mail *m)
{
	m->rc = 0;
	switch (m->op) {
	case VSW_OP_ADD_CHAN:
		m->rc = add_chan(lc, m->chan);
		break;
	case VSW_OP_DEL_CHAN:
		del_chan(lc, m->chan);
		break;
	case VSW_OP_COUNTERS:
		memcpy(m->copy, &lc->cnt[m->first], m->n * sizeof(m->copy[0]));
		break;
	case VSW_OP_ZERO:
		memset(&lc->cnt[m->first], 0, m->n * sizeof(lc->cnt[0]));
		break;
	}
	__atomic_store_n(&m->done, 1, __ATOMIC_RELEASE);
}

static void
mail_take(struct vsw_lcore *lc)
{
	struct vsw_mail *m = __atomic_exchange_n(&lc->mail, NULL, __ATOMIC_ACQ_REL);

	if (m != NULL)
		mail_handle(lc, m);
}

void
vsw_lcore_wake(struct vsw_lcore *lc)
{
	uint64_t one = 1;

	if (write(lc->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		vsw_logf(lc->sw, "lcore %u: wake-up failed: %s", lc->lcore_id, strerror(errno));
}

/* Control thread. The lcore answers between two turns; one that sleeps is woken. */
int
vsw_mail_send(struct vsw_lcore *lc, struct vsw_mail *mail)
{
	struct vsw_wait wait = { 0 };

	mail->done = 0;
	rte_spinlock_lock(&lc->own);
	if (!lc->running) { /* not launched, or returned: its structures are ours */
		mail_handle(lc, mail);
		rte_spinlock_unlock(&lc->own);
		return mail->rc;
	}
	__atomic_store_n(&lc->mail, mail, __ATOMIC_RELEASE);
	rte_spinlock_unlock(&lc->own);
	vsw_lcore_wake(lc);
	while (__atomic_load_n(&mail->done, __ATOMIC_ACQUIRE) == 0)
		vsw_wait_step(lc->sw, &wait, lc->lcore_id);
	return mail->rc;
}

static void
set_running(struct vsw_lcore *lc, bool running)
{
	rte_spinlock_lock(&lc->own);
	lc->running = running;
	mail_take(lc);
	rte_spinlock_unlock(&lc->own);
}

static struct vsw_lcore *
find_lcore(struct vsw *sw, unsigned int lcore_id)
{
	for (unsigned int i = 0; i < sw->nb_lcores; i++)
		if (sw->lcore[i]->lcore_id == lcore_id)
			return sw->lcore[i];
	return NULL;
}

int
vsw_lcore_main(void *arg)
{
	struct vsw *sw = arg;
	struct vsw_lcore *lc = find_lcore(sw, rte_lcore_id());

	if (lc == NULL)
		return -EINVAL;
	set_running(lc, true);
	rte_rcu_qsbr_thread_online(sw->qsbr, lc->index);
	lc->last_work = lc->now = rte_rdtsc();
	vsw_cpu_begin(lc);
	while (__atomic_load_n(&sw->stop, __ATOMIC_ACQUIRE) == 0) {
		rte_rcu_qsbr_quiescent(sw->qsbr, lc->index);
		if (unlikely(__atomic_load_n(&lc->mail, __ATOMIC_RELAXED) != NULL))
			mail_take(lc);
		if (!vsw_lcore_turn(lc) && lc->nb_hot == 0 &&
		    lc->now - lc->last_work > rest_tsc(lc))
			sleep_until_kick(lc);
		else if (lc->nb_hot == lc->nb_all) /* nobody needs to kick */
			look_at_thread(lc);
		else if (lc->now - lc->last_look > sw->look_tsc ||
			 lc->now - RTE_MAX(lc->last_look, lc->last_work) > sw->quiet_look_tsc)
			vsw_lcore_look(lc, 0);
	}
	vsw_cpu_end(lc);
	rte_rcu_qsbr_thread_offline(sw->qsbr, lc->index);
	set_running(lc, false);
	return 0;
}

/* On the lcore's NUMA node; elsewhere, if there is no memory. */
static void *
zmalloc_near(unsigned int lcore_id, size_t n, size_t size)
{
	int node = (int)rte_lcore_to_socket_id(lcore_id);
	void *p = rte_zmalloc_socket(NULL, n * size, RTE_CACHE_LINE_SIZE, node);

	return p != NULL ? p : rte_zmalloc(NULL, n * size, RTE_CACHE_LINE_SIZE);
}

int
vsw_lcore_init(struct vsw *sw, unsigned int index)
{
	unsigned int chans = sw->nb_slots;
	unsigned int id = sw->conf.lcores[index], ports = sw->conf.max_ports;
	struct vsw_lcore *lc = zmalloc_near(id, 1, sizeof(*lc));
	struct epoll_event ev = { .events = EPOLLIN };

	if (lc == NULL)
		return -ENOMEM;
	sw->lcore[index] = lc;
	lc->sw = sw;
	lc->index = index;
	lc->lcore_id = id;
	lc->schedstat_fd = -1;
	lc->counters = sw->conf.counters != NULL ? &sw->conf.counters[index] : &lc->own_counters;
	lc->counters->lcore = lc->lcore_id;
	lc->rounds = 1;
	lc->burst = sw->conf.burst;
	lc->turn_bytes = (uint64_t)lc->burst * VSW_CELL_BYTES;
	/* Less than any full turn costs: who has enough to send uses all that he is granted. */
	lc->quantum = (int64_t)lc->burst * VSW_CELL_COST;
	rte_spinlock_init(&lc->own);
	lc->epfd = epoll_create1(EPOLL_CLOEXEC);
	lc->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lc->cnt = zmalloc_near(id, ports, sizeof(*lc->cnt));
	lc->flood = zmalloc_near(id, ports, sizeof(*lc->flood));
	lc->faults = zmalloc_near(id, ports, sizeof(*lc->faults));
	lc->welcomes = zmalloc_near(id, ports, sizeof(*lc->welcomes));
	lc->stage = zmalloc_near(id, chans, sizeof(*lc->stage));
	lc->dsts = zmalloc_near(id, VSW_NODES, sizeof(*lc->dsts));
	lc->all = zmalloc_near(id, chans, sizeof(*lc->all));
	lc->share = zmalloc_near(id, ports, sizeof(*lc->share));
	lc->active = zmalloc_near(id, ports, sizeof(*lc->active));
	lc->uplinks = zmalloc_near(id, ports, sizeof(*lc->uplinks));
	if (lc->epfd < 0 || lc->wake_fd < 0 || lc->cnt == NULL || lc->flood == NULL ||
	    lc->faults == NULL || lc->welcomes == NULL || lc->stage == NULL || lc->dsts == NULL ||
	    lc->all == NULL || lc->share == NULL || lc->active == NULL || lc->uplinks == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < chans; i++)
		lc->stage[i] = (struct vsw_stage){ VSW_NO_NODE, VSW_NO_NODE };
	if (epoll_ctl(lc->epfd, EPOLL_CTL_ADD, lc->wake_fd, &ev) != 0)
		return -errno;
	return rte_rcu_qsbr_thread_register(sw->qsbr, index) == 0 ? 0 : -EINVAL;
}

void
vsw_lcore_fini(struct vsw *sw, unsigned int index)
{
	struct vsw_lcore *lc = sw->lcore[index];

	if (lc == NULL)
		return;
	if (lc->epfd >= 0)
		close(lc->epfd);
	if (lc->wake_fd >= 0)
		close(lc->wake_fd);
	rte_free(lc->uplinks);
	rte_free(lc->active);
	rte_free(lc->share);
	rte_free(lc->all);
	rte_free(lc->dsts);
	rte_free(lc->stage);
	rte_free(lc->faults);
	rte_free(lc->welcomes);
	rte_free(lc->flood);
	rte_free(lc->cnt);
	rte_free(lc);
	sw->lcore[index] = NULL;
}
